"""One call at a time prepares a dataset: file locks, which the operating system frees when their holders end.

    .journal/lock      held by the call; names its host and process
    .journal/workers   held by the worker processes of the call on this machine, as a shared lock

Workers exit when their caller has ended, also if it was killed. A new call waits for workers of a killed one, so that
no two calls write. Workers of a Dask cluster hold no lock.
"""

import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO

LOCK_FILES = ("lock", "workers")


class LockedError(RuntimeError):
    """Another call prepares this dataset."""


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the lock of a dataset.

    Raises:
        LockedError: if another call holds it; names that call.
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
        fcntl.flock(of_workers, fcntl.LOCK_EX)  # blocks while workers of a killed call run
        fcntl.flock(of_workers, fcntl.LOCK_UN)
        yield


def serve(root: Path) -> None:
    """Make this process a worker: it holds the workers' lock, and exits when the process that started it has ended."""
    file = open(root / ".journal" / "workers", "a")  # noqa: SIM115 - open as long as the process
    fcntl.flock(file, fcntl.LOCK_SH)
    caller = parent_process()
    if not caller.is_alive():  # it ended before the lock was held: another call may have started
        os._exit(1)
    threading.Thread(target=_watch, args=(caller, file), daemon=True).start()


def _watch(caller: BaseProcess, _: IO[str]) -> None:
    caller.join()
    os._exit(1)  # safe at any moment: files get their names only when they are complete
