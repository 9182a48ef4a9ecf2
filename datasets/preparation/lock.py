"""One call at a time prepares a dataset: locks of the operating system, which end with the processes that hold them.

    .journal/lock      held by the call; it says which
    .journal/workers   shared by the call's worker processes on this machine

Workers end when their caller has ended, whatever ended it. A call waits for those of a killed one, so that nothing else
writes. Workers of a Dask cluster hold no lock.
"""

import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOCK_FILES = ("lock", "workers")
_LOOK_S = 0.1  # how often workers look for their caller


class LockedError(RuntimeError):
    """Another call prepares this dataset."""


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the lock of a dataset.

    Raises:
        LockedError: if another call holds it; it says which.
    """
    lock, workers = (root / ".journal" / name for name in LOCK_FILES)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "a+", encoding="utf-8") as file, open(workers, "a") as of_workers:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise LockedError(
                f"{root} is being prepared by another call ({file.read()}): wait until it has ended, or stop it"
            ) from error
        file.truncate(0)
        file.write(f"host {socket.gethostname()}, process {os.getpid()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}")
        file.flush()
        fcntl.flock(of_workers, fcntl.LOCK_EX)  # waits for workers of a killed call
        fcntl.flock(of_workers, fcntl.LOCK_UN)
        yield


def serve(root: Path, caller: int) -> None:
    """Make this process a worker: it holds the workers' lock, and ends when its caller, a process number, has ended."""
    file = open(root / ".journal" / "workers", "a")  # noqa: SIM115 - open as long as the process
    fcntl.flock(file, fcntl.LOCK_SH)
    if os.getppid() != caller:  # it ended before the lock was held, and another call may have begun
        os._exit(1)
    threading.Thread(target=_watch, args=(caller, file), daemon=True).start()


def _watch(caller: int, _: IO[str]) -> None:
    while os.getppid() == caller:
        time.sleep(_LOOK_S)
    os._exit(1)  # as if killed: files are renamed only when they are whole
