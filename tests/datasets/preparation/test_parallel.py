"""Preparation through whatever may happen to it: kills, crashes of decoders, a full disk."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datasets.recording import BadRecording, Found, Recording, Source
from datasets.store import Store
from scripts import prepare
from tests.mmea import contents, write_mmea

ROOT = Path(__file__).resolve().parents[3]
RECORDINGS = 24


def arguments(raw, out, *more):
    return ["--format", "mmea", "--raw", str(raw), "--out", str(out), "--frame_size", "64", *more]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_mmea(tmp_path_factory.mktemp("parallel") / "raw", RECORDINGS)


@pytest.fixture(scope="module")
def whole(raw):
    """What a call that nothing disturbs gives."""
    prepare.main(arguments(raw, raw.parent / "whole", "--num_workers", "2"))
    return contents(raw.parent / "whole")


# ------------------------------------------------------------- kills


def start(raw, out):
    command = [sys.executable, "-m", "scripts.prepare", *arguments(raw, out, "--num_workers", "2")]
    # a session of its own, so that one signal reaches the whole tree
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )


def wait_for_more(process, out, done):
    """Wait until more recordings are done than before, or the process ends."""
    while process.poll() is None and len(list(out.glob(".journal/*.json"))) <= done:
        time.sleep(0.005)


def changed(out):
    return {path.name: path.stat().st_mtime_ns for path in out.glob(".journal/*.json")}


def assert_nothing_half_written(out, whole):
    for name, data in contents(out).items():
        if not name.endswith(".tmp") and not name.endswith((".csv", ".json")):
            assert data == whole[name], name


@pytest.mark.parametrize("victim", ["the whole tree", "the caller alone"])
def test_sigkill_at_random_moments_then_the_same_command_again(raw, whole, tmp_path, victim):
    out, rng = tmp_path / "out", random.Random(victim)
    kills, before = 0, {}
    for _ in range(15):
        process = start(raw, out)
        wait_for_more(process, out, len(before) + rng.randrange(4))
        time.sleep(rng.uniform(0, 0.1))
        if process.poll() is None:
            (os.killpg if victim == "the whole tree" else os.kill)(process.pid, signal.SIGKILL)
        process.stdout.close()  # workers that outlive their caller would hold it open
        if process.wait() == 0:  # it ended before this process had time to kill it: once more from the start
            shutil.rmtree(out)
            kills, before = 0, {}
            continue
        assert_nothing_half_written(out, whole)
        now = changed(out)
        if victim == "the whole tree":
            assert {name: now[name] for name in before} == before  # nothing is done twice
        before, kills = now, kills + 1
        if kills == 3:
            break
    assert kills == 3 and not (out / "dataset.json").exists()
    again = start(raw, out)
    text = again.communicate()[0].decode()
    assert again.returncode == 0 and " left out" in text
    assert contents(out) == whole
    if victim == "the whole tree":
        now = changed(out)
        assert {name: now[name] for name in before} == before


def workers_of(process):
    """Worker processes of a running call, which are copies of a child of it."""
    children = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        children.setdefault(parent, []).append(int(folder.name))
    return [worker for child in children.get(process.pid, []) for worker in children.get(child, [])]


def test_one_worker_killed_costs_nothing(raw, whole, tmp_path):
    out, rng, killed = tmp_path / "out", random.Random(0), 0
    process = start(raw, out)
    for done in (2, 8):
        wait_for_more(process, out, done)
        if workers := workers_of(process):
            os.kill(rng.choice(workers), signal.SIGKILL)
            killed += 1
    text = process.communicate()[0].decode()
    assert killed and process.returncode == 0 and "0 left out" in text
    assert contents(out) == whole


# ------------------------------------------------------------- crashes


def _parse(folder: Path, number: int) -> Recording:
    if number == 3 and (folder / "deadly").exists():
        os.kill(os.getpid(), int((folder / "deadly").read_text()))
    if number == 4:
        raise BadRecording("empty_csv", "nothing in it")
    time_s = np.arange(600) / 50
    return Recording(f"r{number}", time_s, np.ones((600, 3)), time_s, np.zeros((600, 3)))


def run(folder, *more):
    prepare.main(["--format", "pd", "--raw", str(folder / "raw"), "--out", str(folder / "out"), *more])


@pytest.fixture
def deadly(tmp_path, monkeypatch):
    """A format of which one recording kills the process that reads it."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "deadly").write_text(str(int(signal.SIGSEGV)))
    sources = tuple(Source(f"r{k}", (), partial(_parse, tmp_path / "raw", k)) for k in range(8))
    monkeypatch.setattr(prepare.FORMATS["pd"], "find", lambda raw, **_: Found(sources))
    return tmp_path


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_crash_costs_its_recording_only(deadly, workers):
    run(deadly, "--num_workers", workers)
    table = pd.read_csv(deadly / "out" / "rejected.csv")
    assert table[["id", "reason"]].values.tolist() == [["r3", "crashed"], ["r4", "empty_csv"]]
    assert Store(deadly / "out").recordings["id"].tolist() == ["r0", "r1", "r2", "r5", "r6", "r7"]
    (deadly / "raw" / "deadly").unlink()
    run(deadly, "--num_workers", workers)
    assert Store(deadly / "out").recordings["id"].tolist() == ["r0", "r1", "r2", "r3", "r5", "r6", "r7"]


# ------------------------------------------------------------- a full disk


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 16 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small tmpfs cannot be mounted here: that needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk, leave):
    (disk / "ballast").write_bytes(bytes(shutil.disk_usage(disk).free - leave))


def test_a_full_disk_ends_in_one_line_and_the_rest_follows(raw, whole, small_disk):
    out = small_disk / "whole"
    needed = sum(map(len, whole.values()))
    fill(small_disk, needed // 2)
    with pytest.raises(SystemExit, match=r"^prepare: no space left for .*whole: make room and give the same command"):
        prepare.main(arguments(raw, out, "--num_workers", "2"))
    assert_nothing_half_written(out, whole)
    done = changed(out)
    assert 0 < len(done) < RECORDINGS
    with pytest.raises(FileNotFoundError, match="has not ended"):
        Store(out)
    (small_disk / "ballast").unlink()
    prepare.main(arguments(raw, out, "--num_workers", "2"))
    assert contents(out) == whole
    assert {name: changed(out)[name] for name in done} == done


def test_a_full_disk_leaves_a_dataset_that_was_only_to_grow(raw, whole, small_disk, tmp_path):
    few = tmp_path / "raw"
    shutil.copytree(raw, few)
    csvs = sorted(few.glob("sensor/*/*"))
    for csv in csvs[:-6]:
        csv.rename(csv.with_suffix(".later"))
        video = few / "video" / csv.parent.name / csv.with_suffix(".mp4").name
        video.rename(video.with_suffix(".later"))
    out = small_disk / "whole"
    prepare.main(arguments(few, out, "--num_workers", "1"))
    before = contents(out)
    fill(small_disk, sum(map(len, whole.values())) // 4)
    with pytest.raises(SystemExit, match="no space left"):
        prepare.main(arguments(raw, out, "--num_workers", "1"))
    after = contents(out)
    assert {name: after[name] for name in before} == before and len(Store(out).recordings) == 6
    (small_disk / "ballast").unlink()
    prepare.main(arguments(raw, out, "--num_workers", "1"))
    assert contents(out) == whole
