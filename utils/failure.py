"""Ranks that fail together: what goes wrong on one ends all within seconds, with the message of that rank.

A rank that waits in a collective for one that has failed waits for the time limit (NCCL), or raises an error about a
closed connection (gloo). Some launchers leave it there, torchrun kills it after 30 s. So every rank also holds a
connection to rank 0, by which it says how it ended; a connection that closes without a word is a rank that was killed.
Rank 0 passes the first failure on, and a thread ends the ranks that cannot leave their collective.
"""

import json
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import torch
from torch.distributed.elastic.multiprocessing.errors import get_error_handler

from utils.distributed import RankError, on_first_rank, rank, world_size

CONNECT_S = 60.0  # for all ranks to come
LISTEN_S = 1.0  # before a rank tells of a failure: it may come from one that another rank is about to tell of
GRACE_S = 5.0  # for a rank to leave by itself once another has failed

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")


class OutOfMemory(RuntimeError):
    """Memory ran out; the message names the remedy."""


def run(main: Callable[[], int], program: str, expected: tuple[type[Exception], ...]) -> NoReturn:
    """Run a command and exit with its status; a mistake or fault of the world is one line, a fault of ours a traceback.

    Args:
        program: its name, for messages.
        expected: errors that are one line.
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
            os._exit(1)  # the interpreter's own end would take the process group down, and wait for the others
        status = 1
    sys.exit(status)


@contextmanager
def fail_together(memory_remedy: str) -> Iterator[None]:
    """End this rank as soon as another one fails inside, and all others where this one does; all enter and leave it.

    A rank that is done waits here for the others. Out of memory becomes ``OutOfMemory``, in a single process too.

    Args:
        memory_remedy: what to do where memory runs out, a sentence without its full stop.

    Raises:
        RankError: if another rank was the first to fail; the message is that rank's.
        OSError: if the ranks cannot reach each other.
    """
    ending = _Ending() if world_size() > 1 else None
    try:
        yield
    except BaseException as error:
        problem = _with_remedy(error, memory_remedy)
        if ending is not None:
            if not isinstance(problem, RankError):
                _record(problem, error)  # at once: torchrun names the earliest, in whole seconds
            own = str(problem) if isinstance(problem, RankError) else _words(problem)
            first = ending.tell(own)
            problem = problem if first == own else RankError(first)
        if problem is error:
            raise
        raise problem from error
    if ending is not None and (first := ending.tell("")):
        raise RankError(first)


class _Ending:
    """How this rank has ended, and all of them: in words what failed first, or, once all are done, in none."""

    def __init__(self):
        self._lock, self._decided, self._first = threading.Lock(), threading.Event(), ""
        self._running = set(range(world_size()))  # rank 0 alone keeps it up to date
        self._connections = _connect()
        for other, connection in self._connections.items():
            threading.Thread(target=self._listen, args=(other, connection), daemon=True).start()

    def tell(self, words: str) -> str:
        """Say how this rank has ended; returns how all have, for which a rank that is done waits."""
        if words:
            self._decided.wait(LISTEN_S)
        if rank() == 0:
            self._heard(0, words)
        else:
            _send(self._connections[0], words)
        self._decided.wait(GRACE_S if words else None)
        return self._first or words

    def _listen(self, other: int, connection: socket.socket) -> None:
        """Wait, in a thread, for the one thing that another rank says."""
        try:
            words = _receive(connection)
        except (OSError, EOFError):
            words = f"rank {other} ended without a word: something killed it, as Linux does where memory runs out"
        if rank() == 0:
            self._heard(other, words)
        else:
            self._decide(words)

    def _heard(self, other: int, words: str) -> None:
        """Rank 0: a rank has ended. The first failure, or the last rank that is done, decides for all."""
        with self._lock:
            self._running.discard(other)
            if not self._decided.is_set() and (words or not self._running):
                for connection in self._connections.values():
                    _send(connection, words)
                self._decide(words)

    def _decide(self, words: str) -> None:
        self._first = words
        self._decided.set()
        if words:
            timer = threading.Timer(GRACE_S, self._leave)
            timer.daemon = True
            timer.start()

    def _leave(self) -> None:
        """End this process from a thread: its main thread is held up, by a collective as a rule."""
        try:
            raise RankError(self._first)
        except RankError as error:
            get_error_handler().record_exception(error)
        os.write(sys.__stderr__.fileno(), f"rank {rank()} ended: {self._first}\n".encode())
        os._exit(1)


def _connect() -> dict[int, socket.socket]:
    """Connections by the rank at the other end: rank 0 has one to each other rank, they have one to it."""
    server = None
    if rank() == 0:
        both = socket.has_dualstack_ipv6()
        server = socket.create_server(("", 0), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both)
    port = on_first_rank(lambda: server.getsockname()[1])
    if server is None:
        address = (os.environ["MASTER_ADDR"], port)
        try:
            connection = socket.create_connection(address, timeout=CONNECT_S)
        except OSError as error:
            raise OSError(
                f"rank {rank()} cannot reach rank 0 at {address}: {error}; let the machines connect"
            ) from error
        connection.settimeout(None)
        _keep_alive(connection)
        _send(connection, str(rank()))
        return {0: connection}
    connections: dict[int, socket.socket] = {}
    with server:
        server.settimeout(CONNECT_S)
        while missing := set(range(1, world_size())) - connections.keys():
            try:
                connection = server.accept()[0]
            except TimeoutError as error:
                raise OSError(f"rank {min(missing)} did not connect to rank 0 within {CONNECT_S:g} s") from error
            number = _rank_of(connection)
            if number in missing:
                _keep_alive(connection)
                connections[number] = connection
            else:  # somebody else found the port
                connection.close()
    return connections


def _rank_of(connection: socket.socket) -> int | None:
    """The rank that a new connection says it comes from; None if it says nothing, or something else."""
    connection.settimeout(GRACE_S)
    try:
        number = int(_receive(connection))
    except (OSError, EOFError, ValueError, TypeError):
        return None
    connection.settimeout(None)
    return number


def _keep_alive(connection: socket.socket) -> None:
    """A word a minute, so that no firewall forgets a connection which is silent for days."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):  # not on every system
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)


def _send(connection: socket.socket, words: str) -> None:
    with suppress(OSError):  # a rank that is gone need not be told
        connection.sendall(json.dumps(words).encode() + b"\n")


def _receive(connection: socket.socket) -> str:
    line = b""
    while not line.endswith(b"\n"):
        if not (byte := connection.recv(1)):
            raise EOFError
        line += byte
    return json.loads(line)


def _record(problem: BaseException, cause: BaseException) -> None:
    """Write the error file that torchrun's summary shows, with the traceback of the error as it will be raised."""
    try:
        if problem is not cause:
            raise problem from cause
        raise problem
    except BaseException as raised:
        get_error_handler().record_exception(raised)


def _words(error: BaseException) -> str:
    return f"{type(error).__name__} on rank {rank()}: {error}"


def _with_remedy(error: BaseException, remedy: str) -> BaseException:
    """The error itself, or in its place one that says what to do where memory ran out."""
    raised_for = isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)
    if not (raised_for or isinstance(error, (torch.OutOfMemoryError, MemoryError))):
        return error
    reason = str(error).strip().split("\n")[0] or "no memory is left"
    return OutOfMemory(f"{reason}. {remedy}")
