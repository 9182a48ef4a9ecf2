"""Two ranks train what one process trains: loss, every gradient, batch statistics; and they stop and go on together."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import train
from tests.training import command, losses, make_data, spoil
from tests.two_ranks import AS_ALONE, CASES, NO_DROPOUT, as_alone, recorded
from utils import checkpoint

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    data, spoilt, runs = make_data(folder / "data"), make_data(folder / "spoilt"), folder / "runs"
    spoil(spoilt, "rec003", second=7)
    runs.mkdir()
    teacher = "--imu_encoder conv --video_encoder conv21d --video_width 4 --heads linear --max_steps 1".split()
    train.main(command(data, data, "teacher", *teacher))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.two_ranks", str(data), str(spoilt), str(runs)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    log = runs / "long" / "log.txt"
    deadline = time.monotonic() + 400
    while process.poll() is None and time.monotonic() < deadline:
        if log.exists() and "step 3/" in log.read_text():
            process.send_signal(signal.SIGTERM)
            break
        time.sleep(0.1)
    try:
        output, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.terminate()  # torchrun ends its ranks, by force if need be
        output = process.communicate()[0]
    found = [json.loads(path.read_text()) for path in sorted(runs.glob("rank*.json"))]
    assert len(found) == 2, output[-5000:]
    return found, runs, output


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="both ranks use the one core that there is")
def test_each_rank_keeps_to_cores_of_its_own(ranks):
    first, second = (set(found["cores"]) for found in ranks[0])
    assert first and second and not first & second


def test_rows_are_gathered_in_rank_order_with_gradients(ranks):
    for rank, found in enumerate(ranks[0]):
        assert found["rank"] == rank
        assert found["gather"]["rows"] == [1, 1, 2, 2]
        assert found["gather"]["gradient is right"]
        assert found["gather"]["objects"] == ["rank 0", "rank 1"]
        total, poisoned = found["gather"]["sum"]
        assert total == 3
        assert poisoned != poisoned  # not a number on one rank is so for both


def test_the_first_ranks_result_and_error_reach_all(ranks):
    first, second = (found["first"] for found in ranks[0])
    assert first["result"] == second["result"] == "done"
    assert (first["error"], first["message"]) == ("ValueError", "no such thing")
    assert (second["error"], second["message"]) == ("RankError", "ValueError on rank 0: no such thing")


@pytest.mark.parametrize("case", ["-".join(case) for case in CASES])
def test_loss_gradients_and_statistics_are_those_of_one_process(ranks, case):
    for found in ranks[0]:
        assert found["differences"][case] < 1e-10
        assert found["differences in pieces"][case] < 1e-10


def test_compiled_encoders_train_what_one_process_trains(ranks):
    for found in ranks[0]:
        assert len(found["differences compiled"]) == 2
        assert max(found["differences compiled"].values()) < 1e-10


def test_one_bad_window_on_one_rank_stops_both_ranks(ranks):
    for found in ranks[0]:
        assert found["not a number"]["stopped"]
        assert "IMU signal not finite in rec003@5" in found["not a number"]["message"]
        assert found["not a number"]["unchanged"]
    assert not list((ranks[1] / "spoilt").glob("checkpoints/*.pt"))


def test_a_resumed_run_repeats_the_losses_to_the_bit(ranks):
    whole, parts = ranks[0][0]["losses"]
    assert len(whole) == 10
    assert parts == whole


@pytest.fixture(scope="module")
def alone(ranks):
    """The same commands in one process; "moved" goes on where two ranks stopped."""
    data, runs = ranks[1].parent / "data", ranks[1].parent / "alone"
    windows = recorded(lambda: train.main(command(data, runs, "same", *NO_DROPOUT)))
    for name in AS_ALONE:
        train.main(as_alone(data, runs, name))
    stopped = ranks[1] / "moved" / "checkpoints" / "last.pt"
    train.main(command(data, runs, "moved", *NO_DROPOUT, "--resume", str(stopped)))
    return windows, {name: losses(runs / name) for name in ("same", "moved", *AS_ALONE)}


def test_ranks_share_the_batches_of_one_process(ranks, alone):
    first, second = (found["windows"] for found in ranks[0])
    assert len(alone[0]) == 10 and all(len(batch) == 4 for batch in alone[0])
    assert [a + b for a, b in zip(first, second, strict=True)] == alone[0]


@pytest.mark.parametrize(
    "name, steps",
    [("same", 10), ("rows", 10), ("rows_imu", 10), ("contrast", 5), ("distilled", 10), ("primus", 5), ("small", 5)],
)
def test_losses_do_not_depend_on_the_ranks(ranks, alone, name, steps):
    together = losses(ranks[1] / name)
    assert len(together) == len(alone[1][name]) == steps
    assert_close(together, alone[1][name])


def test_fewer_ranks_go_on_with_the_same_experiment(ranks, alone):
    assert sorted(losses(ranks[1] / "moved")) == [0, 1, 2] and sorted(alone[1]["moved"]) == list(range(3, 10))
    assert_close(losses(ranks[1] / "moved") | alone[1]["moved"], alone[1]["same"])


def assert_close(found, expected):
    """float32: sums in another order, and each step goes on from the last."""
    for step, loss in expected.items():
        tight = 1e-6 if step == 0 else 1e-4
        assert float.fromhex(found[step]) == pytest.approx(float.fromhex(loss), rel=tight)


def test_a_batch_that_does_not_divide_is_refused(ranks):
    for found in ranks[0]:
        assert "batch_size 5" in found["odd"] and "among 2: start 1" in found["odd"]


def test_sigterm_to_torchrun_saves_once_and_ends(ranks):
    _, runs, output = ranks
    assert [(runs / f"status{rank}").read_text() for rank in (0, 1)] == ["143", "143"], output[-3000:]
    assert checkpoint.load(runs / "long" / "checkpoints" / "last.pt")["step"] >= 3
    assert "the same command with --resume auto resumes" in (runs / "long" / "log.txt").read_text()
