"""One call at a time prepares a dataset, and a call that was killed holds up nobody."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from datasets.preparation.lock import LockedError, locked
from tests.datasets.preparation.test_parallel import ROOT, arguments, start, workers_of
from tests.mmea import contents, write_mmea


def wait_until(condition):
    deadline = time.monotonic() + 150  # a loaded machine takes a minute to start workers
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_second_holder_is_told_of_the_first(tmp_path):
    with locked(tmp_path):
        holder = rf"host {re.escape(socket.gethostname())}, process {os.getpid()}, since \d{{4}}-"
        with pytest.raises(LockedError, match=holder), locked(tmp_path):
            pass
    with locked(tmp_path):
        pass


def test_an_error_frees_the_lock(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    with locked(tmp_path):
        pass


def test_of_two_calls_at_once_one_prepares_and_one_is_refused(tmp_path):
    raw = write_mmea(tmp_path / "raw", 8)
    first = start(raw, tmp_path / "out")
    wait_until(lambda: list(tmp_path.glob("out/imu/*")))
    os.killpg(first.pid, signal.SIGSTOP)  # it is not to end before the other one has seen it
    command = [sys.executable, "-m", "scripts.prepare", *arguments(raw, tmp_path / "out")]
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    os.killpg(first.pid, signal.SIGCONT)
    assert second.returncode == 1 and f"process {first.pid}, since" in second.stderr, second.stderr
    assert "8 prepared" in first.communicate()[0].decode() and first.returncode == 0
    alone = start(raw, tmp_path / "alone")
    alone.communicate()
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")


def test_workers_of_a_killed_call_hold_the_lock_until_they_end(tmp_path):
    raw = write_mmea(tmp_path / "raw", 24)
    process = start(raw, tmp_path / "out")
    wait_until(lambda: list(tmp_path.glob("out/imu/*")))
    workers = workers_of(process)
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    again = start(raw, tmp_path / "out")  # waits for them
    with pytest.raises(subprocess.TimeoutExpired):
        again.wait(5)
    for worker in workers:
        os.kill(worker, signal.SIGCONT)
    again.communicate()
    assert again.returncode == 0  # they did not wait for more work, as they do for longer than it waits for them
