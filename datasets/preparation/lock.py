"""One call at a time prepares a dataset: an operating system's lock on ``.journal/lock``.

The system frees it when the last process that holds it is gone, whatever ended that process. Workers of this machine
inherit the lock and end when their caller ends. So the lock of a killed call is free as soon as nothing writes any
more. Workers of a Dask cluster do not hold it.
"""

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

_WAIT_S = 30.0  # for workers of a killed call to end: they do as soon as they are given time to run
_LOOK_S = 0.1  # how often workers look for their caller


class LockedError(RuntimeError):
    """Another call prepares this dataset."""


class HeldLock:
    """A lock that is held, to be given to worker processes as they start; they hold it, too.

    Args:
        descriptor: of the open lock file.
        caller: process number of the call.
    """

    def __init__(self, descriptor: int, caller: int):
        self.descriptor, self.caller = descriptor, caller

    def __reduce__(self):
        return _inherited, (DupFd(self.descriptor), self.caller)


def lock_path(root: Path) -> Path:
    """The lock file; while it is locked, it says who holds it."""
    return root / ".journal" / "lock"


@contextmanager
def locked(root: Path) -> Iterator[HeldLock]:
    """Hold the lock of a dataset.

    Raises:
        LockedError: if another call holds it; it says which.
    """
    path = lock_path(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        deadline = time.monotonic() + _WAIT_S
        while not _lock(file.fileno()):
            file.seek(0)
            holder = json.loads(file.read() or "{}")
            if not _has_ended(holder) or time.monotonic() > deadline:
                told = ", ".join(f"{key} {value}" for key, value in holder.items())
                raise LockedError(
                    f"{root} is being prepared by another call ({told}): wait until it has ended, or stop it"
                )
            time.sleep(_LOOK_S)
        file.truncate(0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        file.write(json.dumps({"host": socket.gethostname(), "process": os.getpid(), "since": since}) + "\n")
        file.flush()
        yield HeldLock(file.fileno(), os.getpid())


def end_with_caller(lock: HeldLock) -> None:
    """Make this worker process end when its caller has ended."""
    threading.Thread(target=_watch, args=(lock.caller,), daemon=True).start()


def _watch(caller: int) -> None:
    while os.getppid() == caller:
        time.sleep(_LOOK_S)
    os._exit(1)  # as if killed: files are renamed only when they are whole


def _has_ended(holder: dict[str, Any]) -> bool:
    """Whether a call of this machine has ended, so that only its workers still hold the lock."""
    if holder.get("host") != socket.gethostname():
        return False
    try:
        os.kill(holder["process"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it runs, as another user
        return False
    return False


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _inherited(descriptor: object, caller: int) -> HeldLock:
    return HeldLock(descriptor.detach(), caller)
