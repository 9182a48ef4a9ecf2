"""Running commands of Python one after the other, each in a process of its own with its output in a file."""

import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_LINES_OF_A_FAILURE = 8


def run(words: list[str], log: Path) -> int:
    """Run a command with its output in a file; its exit status. It ends when this process is told to, and may save."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        open(log, "w", encoding="utf-8") as file,
        subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT) as child,
    ):
        try:
            return child.wait()
        except BaseException:
            child.terminate()
            raise


def run_forked(words: list[str], log: Path, loaded: Sequence[str]) -> int:
    """The same for this Python, in a copy of a process that has modules loaded already.

    That process is started at the first call, in its folder and environment, and runs nothing itself.

    Args:
        words: path of the interpreter, then a file or ``-m`` and a module, then its arguments.
        loaded: names of modules; those that cannot be loaded are passed over.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(loaded))
    child = context.Process(target=_as_main, args=(words[1:], log))
    child.start()
    try:
        child.join()
        return child.exitcode
    except BaseException:
        child.terminate()
        child.join()
        raise


def _as_main(words: list[str], log: Path) -> None:
    with open(log, "w", encoding="utf-8") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    if words[0] == "-m":
        sys.argv = words[1:]
        sys.modules.pop(words[1], None)  # loaded, but not as the main program
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")


def end_of(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LINES_OF_A_FAILURE:])
