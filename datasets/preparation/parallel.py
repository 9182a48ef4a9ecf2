"""All sources of a dataset prepared at once, in processes of this machine.

Video decoders are native code, and a damaged file may kill the process that reads it. Only that recording is lost:
every recording that was in work when a process died is tried again in a process of its own.
"""

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from joblib.externals.loky import ProcessPoolExecutor as LokyPool
from joblib.externals.loky import as_completed
from joblib.externals.loky.process_executor import TerminatedWorkerError
from tqdm import tqdm

from datasets.preparation.journal import count_starts
from datasets.preparation.lock import HeldLock, end_with_caller
from datasets.preparation.source import Outcome, prepare_source, reject_crashed
from datasets.recording import Source
from utils.progress_bar import progress

_MAX_DEATHS = 3  # of workers in a row, none of which had begun with a recording
_IDLE_S = 60  # after which a worker ends


class WorkersError(RuntimeError):
    """There are no worker processes, or they die before they begin."""


@dataclass(frozen=True)
class Task:
    """The arguments of ``prepare_source`` beside the source; callable, so that workers need nothing else."""

    raw: Path
    out: Path
    frame_size: int
    jpeg_quality: int

    def __call__(self, source: Source) -> Outcome:
        return prepare_source(source, self.raw, self.out, self.frame_size, self.jpeg_quality)


def prepare_all(task: Task, sources: Iterable[Source], workers: int, lock: HeldLock) -> list[Outcome]:
    """Prepare sources on this machine, longest first, so that no worker is left alone with a long one at the end.

    A source that an earlier call began and did not end may have killed that call. It gets a process of its own, and so
    does each that was in work when a worker died. A source whose own process dies is rejected.

    Args:
        workers: processes.
        lock: of the dataset; the workers hold it, too, and end with this process.

    Raises:
        WorkersError: if processes die before they have begun with anything.
    """
    left = {source.id: source for source in sorted(sources, key=source_bytes, reverse=True)}
    outcomes: list[Outcome] = []
    deaths = 0
    with progress_bar(task, len(left)) as bar:

        def note(outcome: Outcome) -> None:
            outcomes.append(outcome)
            del left[outcome.source_id]
            bar.update()

        while left:
            suspects = [source for source in left.values() if count_starts(task.out, source.id)]
            for outcome in _apart(task, suspects, workers, lock):
                note(outcome)
            before = len(left)
            try:
                for outcome in _in_processes(task, list(left.values()), workers, lock):
                    note(outcome)
            except TerminatedWorkerError as error:
                begun = any(count_starts(task.out, source.id) for source in left.values())
                deaths = 0 if begun or len(left) < before else deaths + 1
                if deaths == _MAX_DEATHS:
                    raise WorkersError(
                        f"worker processes die before they begin ({str(error).splitlines()[0]}): is there too little "
                        "memory? Give fewer --num_workers, or see the system's log"
                    ) from error
    return outcomes


def source_bytes(source: Source) -> int:
    """Size of a source's files: a rough measure of its preparation time."""
    return sum(path.stat().st_size for path in source.files if path.is_file())


def progress_bar(task: Task, total: int) -> tqdm:
    """How many recordings are done."""
    return progress(total=total, desc=f"prepare {task.out.name}", unit="recording")


def _in_processes(task: Task, sources: Iterable[Source], workers: int, lock: HeldLock) -> Iterator[Outcome]:
    # joblib's kind of pool, but one of its own: Parallel would do a single worker's work in this process, which no
    # decoder may end, and the pool that it keeps for reuse is not for others
    pool = LokyPool(max_workers=workers, timeout=_IDLE_S, initializer=end_with_caller, initargs=(lock,))
    futures = [pool.submit(task, source) for source in sources]
    try:
        for done in as_completed(futures):
            yield done.result()
    except Exception:  # a full disk: what is under way may end
        for future in futures:
            future.cancel()
        pool.shutdown()
        raise
    except BaseException:
        pool.shutdown(kill_workers=True)
        raise
    pool.shutdown()


def _apart(task: Task, sources: list[Source], workers: int, lock: HeldLock) -> Iterator[Outcome]:
    """Prepare each in a process of its own; whose process dies gets another one, alone on the machine."""
    if not sources:
        return
    died = []
    with ThreadPoolExecutor(workers) as threads:
        outcomes = threads.map(lambda source: _alone(task, source, lock), sources)
        for source, outcome in zip(sources, outcomes, strict=True):
            if outcome is None:
                died.append(source)
            else:
                yield outcome
    for source in died:
        yield _alone(task, source, lock) or reject_crashed(source, task.out)


def _alone(task: Task, source: Source, lock: HeldLock) -> Outcome | None:
    """None if the process died."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=end_with_caller, initargs=(lock,)) as pool:
        try:
            return pool.submit(task, source).result()
        except BrokenProcessPool:
            return None
