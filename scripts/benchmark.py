"""Measure speed: ``python -m scripts.benchmark loader``.

Every figure that has a target is a ratio against another way of doing the same on the same machine in the same run,
so that it holds elsewhere. With ``--json`` standard output is one JSON object; progress goes to standard error.
"""

import json
from importlib import import_module

from configs.load import parse
from configs.reporting import BenchmarkConfig

BENCHMARKS = {
    "prepare": "scripts.benchmarks.prepare",
    "loader": "scripts.benchmarks.loader",
    "train": "scripts.benchmarks.train",
    "fewshot": "scripts.benchmarks.fewshot",
}


def main(argv: list[str] | None = None) -> None:
    cfg = parse(BenchmarkConfig, argv)
    report = import_module(BENCHMARKS[cfg.benchmark]).run(cfg)
    print(json.dumps(report.values) if cfg.json else report.table())


if __name__ == "__main__":
    main()
