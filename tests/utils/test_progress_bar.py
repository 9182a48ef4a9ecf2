"""A bar on a terminal, lines now and then elsewhere."""

import io
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from huggingface_hub.utils import are_progress_bars_disabled, enable_progress_bars
from transformers.utils import logging as transformers_logging

from utils import progress_bar
from utils.progress_bar import Lines, hide_other_bars

ROOT = Path(__file__).resolve().parents[2]


class Clock:
    """Time that passes when told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def counts(text: str) -> list[int]:
    return [int(found) for found in re.findall(r"^work: (\d+)/", text, re.M)]


@pytest.mark.parametrize(
    "item_s, items, shown",
    [
        (0.01, 1000, [0, 1000]),  # 10 s: the first line and the last
        (1.0, 100, [0, 30, 60, 90, 100]),
        (29.9, 5, [0, 2, 4, 5]),  # the second ends after 59.8 s
        (45.0, 3, [0, 1, 2, 3]),  # each is later than 30 s; the last is not said twice
        (1.0, 60, [0, 30, 60]),
    ],
)
def test_at_most_a_line_every_30_s(capsys, monkeypatch, item_s, items, shown):
    monkeypatch.setattr("tqdm.std.time", clock := Clock())
    for _ in Lines(range(items), total=items, desc="work", unit="file"):
        clock.now += item_s
    assert counts(capsys.readouterr().err) == shown


def test_a_line_says_count_share_rate_and_time_left(capsys, monkeypatch):
    monkeypatch.setattr("tqdm.std.time", clock := Clock())
    with Lines(total=100, desc="work", unit="file", initial=20) as bar:
        clock.now += 40
        bar.set_postfix_str("third run")
        bar.update(40)  # 40 in 40 s; 40 are left
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("work: 20/100 (20 %)")
    for words in ("work: 60/100 (60 %)", "00:40 so far", "00:40 left", "1.00file/s", "third run"):
        assert words in last


def test_a_loop_that_is_left_says_how_far_it_came(capsys):
    with pytest.raises(RuntimeError):
        for item in Lines(range(9), total=9, desc="work", unit="file"):
            if item == 4:
                raise RuntimeError
    assert counts(capsys.readouterr().err) == [0, 4]


LOOP = """
import time
from utils.progress_bar import progress

for _ in progress(range(300), total=300, desc="work", unit="file"):
    time.sleep(2e-3)
"""


def test_a_pipe_gets_two_lines_and_a_terminal_a_bar():
    words = [sys.executable, "-c", LOOP]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert counts(done.stderr) == [0, 300] and len(done.stderr.splitlines()) == 2
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    subprocess.run(words, cwd=ROOT, stderr=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert shown.count("\r") > 3 and "|" in shown and "300/300" in shown


def test_bars_of_others_are_hidden_without_a_terminal(monkeypatch):
    try:
        transformers_logging.enable_progress_bar()
        monkeypatch.setattr(progress_bar.sys, "stderr", Terminal())
        hide_other_bars()
        assert transformers_logging.is_progress_bar_enabled() and not are_progress_bars_disabled()
        monkeypatch.setattr(progress_bar.sys, "stderr", io.StringIO())
        hide_other_bars()
        assert not transformers_logging.is_progress_bar_enabled() and are_progress_bars_disabled()
    finally:
        transformers_logging.enable_progress_bar()
        enable_progress_bars()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_no_loop_draws_a_bar_of_its_own():
    """``progress`` decides between a bar and lines; the log of ``train.py`` has a line for every so many steps."""
    folders = ("configs", "datasets", "models", "scripts", "utils")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")] + list(ROOT.glob("*.py"))
    drawing = {path.name for path in files if re.search(r"\btqdm\(", path.read_text(encoding="utf-8"))}
    assert drawing == set()


def test_prepare_in_a_pipe_is_quiet(tmp_path):
    for number in range(40):
        path = tmp_path / "raw" / "P1" / "walking" / f"{number}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [f"{k / 50},0,0,9.8,0,0,0" for k in range(260)]
        path.write_text("\n".join(["time,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z", *rows]) + "\n")
    words = ["--format", "pd", "--raw", str(tmp_path / "raw"), "--out", str(tmp_path / "out"), "--num_workers", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "scripts.prepare", *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = re.findall(r"prepare out: (\d+)/40", done.stderr)
    assert lines[0] == "0" and lines[-1] == "40" and len(lines) <= 4 and "\r" not in done.stderr
