"""Measure speed: ``python -m scripts.benchmark loader``.

Every figure that has a target is a ratio against another way of doing the same on the same machine in the same run,
so that it holds elsewhere. With ``--json`` standard output is one JSON object; progress goes to standard error.
"""

import json
import tempfile
from importlib import import_module
from pathlib import Path

from configs.load import parse
from configs.reporting import BenchmarkConfig


def main(argv: list[str] | None = None) -> None:
    cfg = parse(BenchmarkConfig, argv)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        report = import_module(f"scripts.benchmarks.{cfg.benchmark}").run(cfg, Path(folder))
    print(json.dumps(report.values) if cfg.json else report.table())


if __name__ == "__main__":
    main()
