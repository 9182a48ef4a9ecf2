"""Lines for people, and where they go."""

import logging
import time

import pytest
import torch

from utils.progress import Stopwatch, describe_step, run_log


def test_lines_reach_the_screen_and_the_file_while_inside(tmp_path, capsys):
    log = logging.getLogger("some.part")
    with run_log(tmp_path / "run" / "log.txt"):
        log.info("step %d", 3)
        log.warning("look here")
    log.info("afterwards")
    assert capsys.readouterr().out == "step 3\nlook here\n"
    lines = (tmp_path / "run" / "log.txt").read_text().splitlines()
    assert [line[20:] for line in lines] == ["step 3", "look here"]
    with run_log(tmp_path / "run" / "log.txt"):
        log.info("again")
    assert len((tmp_path / "run" / "log.txt").read_text().splitlines()) == 3


def test_other_ranks_show_warnings_only(tmp_path, capsys):
    with run_log(None):
        logging.getLogger("x").info("quiet")
        logging.getLogger("x").warning("loud")
    assert capsys.readouterr().out == "loud\n"
    assert not list(tmp_path.iterdir())


class Clock:
    """Time that passes when told to."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def batches(self, count: int, seconds: float):
        for number in range(count):
            self.now += seconds
            yield number

    def step(self, watch: Stopwatch) -> None:
        for name, seconds in (("forward", 0.5), ("optimizer", 0.1), ("backward", 1.0), ("optimizer", 0.15)):
            with watch.phase(name):
                self.now += seconds
        self.now += 0.25  # in no phase
        watch.step_done(32)


def test_the_stopwatch_tells_speed_and_where_time_goes(monkeypatch):
    clock = Clock(monkeypatch)
    watch = Stopwatch(torch.device("cpu"))
    for _ in watch.waiting(clock.batches(4, seconds=0.5)):
        clock.step(watch)
    found = watch.look()
    assert found == pytest.approx(
        {"windows_per_s": 12.8, "wait_share": 0.2, "forward_share": 0.2, "backward_share": 0.4, "optimizer_share": 0.1}
        | {"memory_gb": found["memory_gb"]}
    )
    with open("/proc/self/status") as status:
        peak_kb = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    assert found["memory_gb"] == pytest.approx(peak_kb * 1024e-9, rel=0.02)
    clock.now += 100.0  # an evaluation
    watch.look()
    for _ in watch.waiting(clock.batches(1, seconds=0.0)):
        clock.step(watch)
    found = watch.look()
    assert found["windows_per_s"] == pytest.approx(16.0)
    assert found["wait_share"] == 0


def test_on_a_gpu_the_stopwatch_reads_events_that_have_happened(monkeypatch):
    """The host runs ahead: an event has its time only when it is waited for."""
    clock, waits = Clock(monkeypatch), []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            self.ms, self.done = 1000 * clock.now, False

        def synchronize(self):
            waits.append(clock.now)
            self.done = True

        def elapsed_time(self, other):
            assert other.done
            return other.ms - self.ms

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3e9)
    watch = Stopwatch(torch.device("cuda"))
    for _ in watch.waiting(clock.batches(4, seconds=0.5)):
        clock.step(watch)
    assert waits == []
    found = watch.look()
    assert (found["backward_share"], found["memory_gb"]) == (pytest.approx(0.4), 3)
    for _ in watch.waiting(clock.batches(1000, seconds=0.5)):  # a rank that nobody looks at
        clock.step(watch)
        assert len(watch._open) <= 420
    assert watch.look()["backward_share"] == pytest.approx(0.4)


def test_leaving_early_closes_the_batches():
    closed = []

    def batches():
        try:
            yield from range(5)
        finally:
            closed.append(True)

    for _ in Stopwatch(torch.device("cpu")).waiting(batches()):
        break
    assert closed


def test_a_step_as_a_line():
    values = dict.fromkeys(("loss", "lr", "scale", "bias", "grad_norm", "windows_per_s"), 1.5)
    values |= {"wait_share": 0.07, "memory_gb": 61.52}
    line = describe_step(2, 12, 60, 540, values, 61)
    for words in ("epoch 2/12", "step 60/540", "loss 1.5000", "waiting 7%", "61.5 GB", "left 0:01:01"):
        assert words in line
