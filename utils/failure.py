"""Ranks that fail together: an error on one rank ends all ranks within seconds, with the message of that rank.

A rank that waits in a collective for one that has failed waits for the time limit (NCCL), or raises an error about a
closed connection (gloo). So a rank that fails writes its error to the store of ``torch.distributed``. A thread of each
rank polls the store, increments a heartbeat counter, and ends its rank if that cannot leave a collective.
"""

import itertools
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import _get_default_store
from torch.distributed.elastic.multiprocessing.errors import get_error_handler

from utils.distributed import RankError, rank, world_size

POLL_S = 0.25
LISTEN_S = 2.0  # before a rank reports a failure: it may follow from one that another rank is about to report
GRACE_S = 5.0  # for a rank to exit by itself once another has failed
SILENT_S = 60.0  # without a heartbeat, after which a rank counts as killed

REMEDY = "Use a smaller --batch_size, or give video in pieces with --micro_batch_size N, which learns the same"
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
_KILLED = "rank {} ended without a message: it was killed, as Linux does when memory runs out"
_uses = itertools.count()  # of the store; the same number on every rank


class OutOfMemory(RuntimeError):
    """Memory ran out; the message names the remedy."""


def run(main: Callable[[], int], program: str, expected: tuple[type[Exception], ...]) -> NoReturn:
    """Run a command and exit with its status. An expected error is printed as one line, any other with its traceback.

    Args:
        program: its name, for messages.
        expected: types of errors that the user can mend.
    """
    try:
        status = main()
    except Exception as problem:
        if isinstance(problem, expected):
            who = f", rank {rank()}" if world_size() > 1 else ""
            print(f"{program}{who}: {problem}", file=sys.stderr, flush=True)
        else:
            traceback.print_exc()
        if world_size() == 1 or isinstance(problem, RankError):  # fail_together has recorded what failed here
            get_error_handler().record_exception(problem)  # torchrun's summary shows it
        if world_size() > 1:
            os._exit(1)  # a normal exit would destroy the process group, which waits for the other ranks
        status = 1
    sys.exit(status)


@contextmanager
def fail_together() -> Iterator[None]:
    """End all ranks as soon as one fails inside. All ranks enter and leave it.

    A rank that is done waits for the others. Out of memory becomes ``OutOfMemory``, in a single process too.

    Raises:
        RankError: if another rank failed first, with the message of that rank.
    """
    watch = _Watch() if world_size() > 1 else None
    try:
        with _remedy_for_memory():
            yield
            if watch is not None:
                dist.barrier()
                watch.over.set()
    except BaseException as error:
        if watch is None:
            raise
        own = str(error)
        if not isinstance(error, RankError):
            own = f"{type(error).__name__} on rank {rank()}: {error}"
            get_error_handler().record_exception(error)  # at once: torchrun names the earliest, in whole seconds
        if (first := watch.report(own)) != own:
            raise RankError(first) from error
        raise


class _Watch:
    """The first failure on any rank, and heartbeats of the ranks: rank 0 watches all others, they watch rank 0."""

    def __init__(self):
        self.over, self._failed, self._first = threading.Event(), threading.Event(), ""
        self._store = dist.PrefixStore(f"fail_together {next(_uses)}", _get_default_store())
        self._silent_polls = dict.fromkeys(range(1, world_size()) if rank() == 0 else [0], 0)
        threading.Thread(target=self._look, daemon=True).start()

    def report(self, message: str) -> str:
        """Report the error of this rank and wait until the others have read it; returns the first error of any rank."""
        with suppress(dist.DistError):  # the store is gone, with the rank that holds it
            if not self._failed.wait(LISTEN_S + (rank() > 0)):  # rank 0 first: it knows who was killed
                killed = [other for other, polls in self._silent_polls.items() if polls * POLL_S > 0.7 * LISTEN_S]
                message = "; ".join([message, *map(_KILLED.format, killed)])
                self._store.compare_set("failure", "", message)
            self._failed.wait(LISTEN_S)
            deadline = time.monotonic() + LISTEN_S
            while self._store.add("read", 0) < world_size() and time.monotonic() < deadline:
                time.sleep(POLL_S)
        return self._first or message

    def _look(self) -> None:
        counts: dict[int, int] = {}
        try:
            while not self._store.check(["failure"]):
                if self.over.wait(POLL_S):
                    return
                self._store.add(f"alive {rank()}", 1)
                for other in self._silent_polls:
                    count = self._store.add(f"alive {other}", 0)
                    self._silent_polls[other] = self._silent_polls[other] + 1 if counts.get(other) == count else 0
                    counts[other] = count
                    if self._silent_polls[other] * POLL_S > SILENT_S:
                        self._store.compare_set("failure", "", _KILLED.format(other))
            self._first = self._store.get("failure").decode()
            self._store.add("read", 1)
        except dist.DistError:  # the store ended with rank 0, or with torchrun
            if self.over.wait(LISTEN_S):
                return
            self._first = _KILLED.format(0)
        self._failed.set()
        time.sleep(GRACE_S)
        self._leave()

    def _leave(self) -> None:
        """End this process from a thread: its main thread waits, usually in a collective."""
        get_error_handler().record_exception(RankError(self._first))
        os.write(sys.__stderr__.fileno(), f"rank {rank()} ended: {self._first}\n".encode())
        os._exit(1)


@contextmanager
def _remedy_for_memory() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
        if not known and not any(words in str(error) for words in _OUT_OF_MEMORY):
            raise
        reason = str(error).strip().split("\n")[0] or "no memory is left"
        raise OutOfMemory(f"{reason}. {REMEDY}") from error
