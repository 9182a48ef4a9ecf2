"""Processes that are copies of one which has imported all that training uses; importing takes longer than a tiny run.

``torchrun`` is the program of that name, in this process, but that its ranks are such copies: it calls them, watches
them, and ends them as it does any other.
"""

import multiprocessing.context
import os
import runpy
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import torch._dynamo  # noqa: F401 - optimizers import it at their first step
from torch.distributed import run
from torch.distributed.elastic.multiprocessing.subprocess_handler import SubprocessHandler
from torch.utils import tensorboard  # noqa: F401
from transformers import PatchTSTModel, VideoMAEModel  # noqa: F401 - models import them when they are built

import train  # noqa: F401
import utils.plots  # noqa: F401


class Copy(multiprocessing.context.ForkProcess):
    """A copy of this process that is started at once, calls a function and ends. torchrun takes it for a ``Popen``."""

    def __init__(self, work: Callable[[], object], env: dict[str, str], output: Path | None = None):
        super().__init__()
        self.work, self.env, self.output = work, env, output
        self.start()

    def run(self) -> None:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):  # torchrun's own handlers are no rank's
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(self.env)
        if self.output is not None:
            written = os.open(self.output, os.O_CREAT | os.O_WRONLY)
            os.dup2(written, 1)
            os.dup2(written, 2)
        self.work()

    def poll(self) -> int | None:
        return self.exitcode

    def wait(self, timeout: float | None = None) -> None:
        self.join(timeout)


def torchrun(words: list[str]) -> None:
    """Run torchrun with the arguments ``words``."""
    SubprocessHandler._popen = lambda _, args, env: Copy(lambda: python(args[1:]), env)
    run.main(words)


def python(words: tuple[str, ...]) -> None:
    """What the interpreter does with ``-u FILE WORDS`` or ``-u -m MODULE WORDS``."""
    if words[1] == "-m":
        sys.argv = list(words[2:])
        runpy.run_module(words[2], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(words[1:])
        runpy.run_path(words[1], run_name="__main__")


def free_port() -> int:
    """A port of this machine on which nothing listens, for ranks to meet at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
