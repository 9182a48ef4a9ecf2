"""Commands of Python in processes of their own: what they print, how they end, and what they see."""

import sys
from multiprocessing.forkserver import _forkserver

import pytest

from utils.commands import end_of, run, run_forked

PROGRAM = """
import json, sys
if __name__ == "__main__":
    print(__name__, sys.argv[1:], "graphlib" in sys.modules)
    print("to stderr", file=sys.stderr)
    sys.exit(WORDS)
"""


@pytest.fixture(autouse=True, scope="module")
def forkserver_of_its_own():
    """Modules are loaded when the server starts, and tests before these may have started it with others."""
    _forkserver._stop()
    yield
    _forkserver._stop()


@pytest.fixture
def program(tmp_path):
    def written(end):
        (tmp_path / "program.py").write_text(PROGRAM.replace("WORDS", end))
        return [sys.executable, str(tmp_path / "program.py"), "--shots", "1"]

    return written


@pytest.mark.parametrize(("end", "status"), [("0", 0), ("3", 3), ("'a reason'", 1)])
def test_a_forked_command_ends_and_prints_like_a_started_one(program, tmp_path, end, status):
    words, logs = program(end), [tmp_path / "new" / name for name in ("a.log", "b.log")]
    assert run(words, logs[0]) == run_forked(words, logs[1], ["graphlib"]) == status
    started, forked = (sorted(log.read_text().splitlines()) for log in logs)
    assert "__main__ ['--shots', '1'] False" in started
    assert [line.replace("True", "False") for line in forked] == started
    assert "__main__ ['--shots', '1'] True" in forked and "to stderr" in end_of(logs[1])


def test_a_module_of_ours_is_run_as_the_main_program(tmp_path):
    words = [sys.executable, "-m", "scripts.describe", "--help"]
    assert run_forked(words, tmp_path / "a.log", ["graphlib"]) == 0
    assert "usage: python -m scripts.describe" in (tmp_path / "a.log").read_text()


def test_a_crash_is_seen(tmp_path):
    (tmp_path / "crash.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    assert run_forked([sys.executable, str(tmp_path / "crash.py")], tmp_path / "a.log", []) == -9
