"""Sources of a dataset prepared in parallel: in processes of this machine, or by another engine.

Video decoders are native code, and a damaged file may crash the process that reads it. A process works on one source
at a time, so that a crash is attributed to that source alone.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from pathlib import Path
from queue import SimpleQueue

from datasets.preparation.lock import serve
from datasets.preparation.source import Status, reject_crashed
from datasets.recording import Source
from utils.progress_bar import progress

Work = Callable[[Source], Status]  # ``prepare_source`` with all its other arguments, picklable
Engine = Callable[[Work, Iterable[Source]], Iterator[tuple[Source, Status | None]]]


class WorkersError(RuntimeError):
    """There are no worker processes, or they die."""


def prepare_all(work: Work, sources: Iterable[Source], root: Path, engine: Engine) -> Counter[Status]:
    """Prepare sources, longest first, so that no worker is left alone with a long one at the end.

    Args:
        root: folder of the dataset.
        engine: yields each source with its status when it is done, with None if the process that worked on it died.

    Returns:
        How many sources have each status.
    """
    queue = sorted(sources, key=_source_bytes, reverse=True)
    counts: Counter[Status] = Counter()
    with progress(total=len(queue), desc=f"prepare {root.name}", unit="recording") as bar:
        for source, status in engine(work, queue):
            counts[status or reject_crashed(source, root)] += 1
            bar.update()
    return counts


def _source_bytes(source: Source) -> int:
    """Size of a source's files: a rough measure of its preparation time."""
    return sum(path.stat().st_size for path in source.files if path.is_file())


def in_processes(
    work: Work, sources: Iterable[Source], root: Path, workers: int, loaded: Sequence[str]
) -> Iterator[tuple[Source, Status | None]]:
    """The engine of this machine: worker processes, which hold the workers' lock of the dataset.

    A source whose process died is tried once more, alone, when all others are done. Workers are copies of one process
    that has modules loaded already, so that importing is done once and not by each of them.

    Args:
        loaded: names of the modules that workers use.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(list(loaded))
    pools: SimpleQueue[ProcessPoolExecutor] = SimpleQueue()
    for _ in range(workers):
        pools.put(_one_process(context, root))

    def prepare(source: Source) -> tuple[Source, Status | None]:
        pool = pools.get()
        try:
            return source, pool.submit(work, source).result()
        except BrokenProcessPool:
            pool = _one_process(context, root)
            return source, None
        finally:
            pools.put(pool)

    threads, died = ThreadPoolExecutor(workers), []
    try:
        for done in as_completed([threads.submit(prepare, source) for source in sources]):
            source, status = done.result()
            if status is None:
                died.append(source)
            else:
                yield source, status
        for source in died:
            yield prepare(source)
    finally:  # after an error, such as a full disk, sources in progress are finished
        threads.shutdown(cancel_futures=True)
        for _ in range(workers):
            pools.get().shutdown()


def _one_process(context: BaseContext, root: Path) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=context, initializer=serve, initargs=(root,))
