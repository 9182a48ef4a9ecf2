"""Lines for people, and where they go."""

import logging
import time

import pytest

from utils.progress import Stopwatch, describe_step, duration, run_log


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


def test_the_stopwatch_tells_speed_and_waiting(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    watch = Stopwatch()
    for _ in range(4):
        now[0] += 0.5  # waiting
        watch.data_arrived()
        now[0] += 1.5  # working
        watch.step_done(32)
    assert watch.look() == pytest.approx((16.0, 0.25))
    now[0] += 100.0  # an evaluation
    watch.look()
    watch.data_arrived()
    now[0] += 2.0
    watch.step_done(32)
    assert watch.look() == pytest.approx((16.0, 0.0))


@pytest.mark.parametrize("seconds, text", [(0, "0:00"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03")])
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_step_as_a_line():
    values = dict.fromkeys(("loss", "lr", "scale", "bias", "grad_norm", "windows_per_s"), 1.5) | {"wait_share": 0.07}
    line = describe_step(2, 12, 60, 540, values, 61)
    for words in ("epoch 2/12", "step 60/540", "loss 1.5000", "waiting 7%", "left 1:01"):
        assert words in line
