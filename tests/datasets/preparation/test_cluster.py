"""Preparation on a Dask cluster: two workers on this machine."""

import importlib.util
import os
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs.data import PrepareConfig
from configs.load import build
from datasets.recording import Found, Recording, Source
from datasets.store import Store
from scripts import prepare
from tests.mmea import contents, write_mmea


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: pip install 'dask[distributed]'")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as cluster:
        yield cluster


def arguments(raw, out, *more):
    return ["--format", "mmea", "--raw", str(raw), "--out", str(out), "--frame_size", "64", *more]


def test_a_cluster_gives_the_dataset_of_one_machine(cluster, tmp_path, monkeypatch):
    raw = write_mmea(tmp_path / "raw", 8)
    prepare.main(arguments(raw, tmp_path / "here", "--num_workers", "1"))
    monkeypatch.chdir(tmp_path)  # paths from here mean nothing to the workers
    prepare.main(arguments("raw", "there", "--scheduler", cluster.scheduler_address))
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def _parse(folder: Path, number: int) -> Recording:
    with open(folder / f"by-{os.getpid()}", "a") as file:
        file.write(f"{number}\n")
    if number == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    time_s = np.arange(600) / 50
    return Recording(f"r{number}", time_s, np.ones((600, 3)), time_s, np.zeros((600, 3)))


def test_both_work_and_a_crash_costs_its_recording_only(cluster, tmp_path, monkeypatch):
    raw = tmp_path / "raw"
    raw.mkdir()
    sources = tuple(Source(f"r{k}", (), partial(_parse, raw, k)) for k in range(12))
    monkeypatch.setattr(prepare.FORMATS["pd"], "find", lambda raw, **_: Found(sources))
    out = tmp_path / "out"
    command = ["--format", "pd", "--raw", str(raw), "--out", str(out)]
    prepare.main([*command, "--scheduler", cluster.scheduler_address])
    table = pd.read_csv(out / "rejected.csv")
    assert table[["id", "reason"]].values.tolist() == [["r3", "crashed"]]
    assert len(Store(out).recordings) == 11
    processes = [path.read_text().split() for path in raw.glob("by-*")]
    assert len(processes) >= 2 and sum(numbers.count("3") for numbers in processes) == 4


def test_folders_that_workers_do_not_see_are_named(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare.FORMATS["pd"], "find", lambda raw, **_: Found(()))
    command = ["--format", "pd", "--raw", str(tmp_path / "mine"), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match=r"worker tcp://.* does not see .*mine: raw and out must lie on a disk"):
        prepare.main([*command, "--scheduler", cluster.scheduler_address])


@pytest.fixture
def found_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(prepare.FORMATS["pd"], "find", lambda raw, **_: Found(()))
    return ["--format", "pd", "--raw", str(tmp_path / "raw"), "--out", str(tmp_path / "out")]


def test_a_scheduler_that_does_not_answer_is_named(found_nothing, monkeypatch):
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'dask[distributed]'")
    monkeypatch.setattr("datasets.preparation.cluster._CONNECT_S", 1)
    with pytest.raises(SystemExit, match=r"prepare: no Dask scheduler answers at tcp://127.0.0.1:1 "):
        prepare.main([*found_nothing, "--scheduler", "tcp://127.0.0.1:1"])


def test_a_scheduler_without_workers_is_named(found_nothing, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: pip install 'dask[distributed]'")
    monkeypatch.setattr("datasets.preparation.cluster._WAIT_FOR_WORKERS_S", 1)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None, silence_logs=50) as cluster,
        pytest.raises(SystemExit, match="has no workers: start some with 'dask worker"),
    ):
        prepare.main([*found_nothing, "--scheduler", cluster.scheduler_address])


def test_without_dask_the_message_says_what_to_install(found_nothing, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "distributed" else find_spec(name))
    with pytest.raises(SystemExit, match=r"not installed: pip install 'dask\[distributed\]'"):
        prepare.main([*found_nothing, "--scheduler", "tcp://127.0.0.1:1"])


def test_a_cluster_has_as_many_workers_as_it_has():
    given = {"format": "pd", "raw": "x", "out": "y", "scheduler": "tcp://a:1", "num_workers": 3}
    with pytest.raises(ValueError, match="num_workers has no use"):
        build(PrepareConfig, given, "flags")
