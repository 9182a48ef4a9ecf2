"""Something fails on one of two ranks: both end within seconds with its message; the newest checkpoint is whole."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datasets.protocols.validation import hold_out
from datasets.store import Store
from datasets.windows import list_windows
from tests.faults.one_rank_fails import FAULTS, TORCHRUN
from tests.faults.test_frames import damage
from tests.training import make_data
from utils import checkpoint

ROOT = Path(__file__).resolve().parents[2]
RANKS = ["-m", "tests.faults.one_rank_fails"]
AT_MOST_S = 20


def bad_copy(data: Path, copy: Path, held_out: bool) -> None:
    """A disk that cannot read a third of the training windows, or all that are held out."""
    shutil.copytree(data, copy)
    windows = list_windows(Store(data / "tiny"), needs_video=True)
    trained, kept = hold_out(windows, 0.1, 512, seed=0)
    names = {window.split("@")[0] for window in windows.ids(kept if held_out else trained)}
    for name in sorted(names)[:3]:
        damage(copy, name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    data = make_data(folder / "data")
    bad_copy(data, folder / "bad" / "loader", held_out=False)
    bad_copy(data, folder / "bad" / "evaluation", held_out=True)
    (folder / TORCHRUN).mkdir()
    (folder / TORCHRUN / "data").symlink_to(data)
    return folder


@pytest.fixture(scope="module")
def found(folder):
    words = [sys.executable, *RANKS, str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    began = time.time()
    done = subprocess.run(words, cwd=ROOT, env=environment, text=True, capture_output=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert not processes_of(folder)
    return json.loads((folder / "found.json").read_text()) | {"began": began}


def processes_of(folder: Path) -> list[str]:
    """Command lines of the processes that were started for a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended just now
            continue
        if str(folder) in line:
            found.append(line)
    return found


CASES = {  # by fault: the rank that fails first, what the other one says, and the first one's status
    "save": (0, "OSError on rank 0: .*cannot save the checkpoint", 1),
    "memory": (1, "OutOfMemory on rank 1: .*--micro_batch_size", 1),
    "memory, other busy": (1, "OutOfMemory on rank 1: .*--micro_batch_size", 1),
    "killed": (1, "rank 1 ended without a message", -9),
    "first killed": (0, "rank 0 ended without a message", -9),
    "defect": (0, "KeyError on rank 0: 'no such metric'", 1),
    "loader": (1, "FrameError on rank 1: .*windows cannot be read", 1),
    "evaluation": (0, "FrameError on rank 0: .*windows cannot be read", 1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_both_ranks_end(folder, found, fault):
    first, words, status = CASES[fault]
    outputs = [(folder / f"{fault}.{rank}.txt").read_text() for rank in range(2)]
    assert found[fault]["took_s"] < AT_MOST_S, outputs
    assert found[fault]["statuses"][first] == status
    assert found[fault]["statuses"][1 - first] == 1
    assert re.search(words, outputs[1 - first])
    if status != -9:  # one line, or the traceback of a defect
        assert re.search(words.split(": ")[1], outputs[first])
        assert (f"train.py, rank {first}: " in outputs[first]) == (fault != "defect")
    assert ("Traceback" in outputs[first]) == (fault == "defect")
    newest = checkpoint.newest_valid(folder / "runs" / fault / "checkpoints")
    assert checkpoint.load(newest)["step"] >= 5


def test_torchrun_names_the_first_to_fail(folder, found):
    output = (folder / "torchrun.txt").read_text()
    failed_at = float((folder / TORCHRUN / "memory.1.time").read_text())
    # on a machine so loaded that starting took longer than the limit, ending may take as long as starting
    assert found[TORCHRUN]["took_s"] < max(AT_MOST_S, failed_at - found["began"]), output
    assert found[TORCHRUN]["status"] == 1
    summary = output[output.index("Root Cause") :]
    assert re.search(r"rank +: 1 .*OutOfMemory: .*--micro_batch_size", summary, re.DOTALL)
