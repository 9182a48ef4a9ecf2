"""Speed of classifying a recording: the figures are there, and the contenders do the same work."""

import json
import math

import numpy as np
import pandas as pd

from scripts import benchmark
from scripts.benchmarks import predict


def test_the_benchmark_prints_its_figures(monkeypatch, capsys):
    monkeypatch.setattr(predict, "LIVE_S", 25.0)
    monkeypatch.setattr(predict, "peak_rss_mib", lambda work, *arguments: work(*arguments))
    benchmark.main("predict --json --hours 0.02 --repeats 1".split())
    values = json.loads(capsys.readouterr().out)  # one object and nothing else
    assert set(values) == set(
        "hours_per_cpu_s rival_hours_per_cpu_s ratio_vs_rival reading_percent day_cpu_s peak_rss_mib latency_ms "
        "latency_p99_ms".split()
    )
    assert all(math.isfinite(value) and value > 0 for value in values.values())


def test_the_file_is_what_it_says(tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "BLOCK_S", 30)
    predict.write_recording(tmp_path / "r.csv", 1 / 60)
    table = pd.read_csv(tmp_path / "r.csv").to_numpy()
    assert table.shape == (6000, 7)
    np.testing.assert_allclose(np.diff(table[:, 0]), 0.01, atol=1e-6)
    np.testing.assert_array_equal(table[:3000, 1:], table[3000:, 1:])
