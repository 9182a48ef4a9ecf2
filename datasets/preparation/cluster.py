"""All sources of a dataset prepared on a Dask cluster that is there already, through joblib's own backend.

Dask is only needed here: ``pip install 'dask[distributed]'``, the same on every machine. Workers must be able to
import this project (start them in its folder) and see the folders of the recordings and of the dataset.
"""

import importlib.util
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed, parallel_config

from datasets.preparation.journal import count_starts, forget_starts
from datasets.preparation.parallel import Task, WorkersError, progress_bar, source_bytes
from datasets.preparation.source import Outcome, reject_crashed
from datasets.recording import Source

_CONNECT_S = 30  # a scheduler that was started a moment ago needs some
_WAIT_FOR_WORKERS_S = 60
_MAX_STARTS = 2  # of a recording, each of which ended with its worker
_PROBE = ".workers_see_this"


def prepare_on_cluster(task: Task, sources: Iterable[Source], scheduler: str) -> list[Outcome]:
    """Prepare sources on the workers of a cluster, longest first.

    The scheduler gives the work of a dead worker to another one. A source that two workers began and did not end is
    rejected.

    Args:
        task: its folders must be absolute, and the same on every worker.
        scheduler: its address, such as ``tcp://host:8786``.

    Raises:
        WorkersError: if Dask is not installed, or the cluster cannot be reached or cannot do the work.
    """
    queue = sorted(sources, key=source_bytes, reverse=True)
    for source in queue:
        forget_starts(task.out, source.id)
    outcomes = []
    with _connected(scheduler) as client, parallel_config("dask", client=client):
        _check_workers(client, scheduler, task)
        jobs = (delayed(_unless_deadly)(task, source) for source in queue)
        with progress_bar(task, len(queue)) as bar:
            for outcome in Parallel(n_jobs=-1, batch_size=1, return_as="generator_unordered")(jobs):
                outcomes.append(outcome)
                bar.update()
    return outcomes


@contextmanager
def _connected(scheduler: str) -> Iterator[Any]:
    if importlib.util.find_spec("distributed") is None:
        raise WorkersError("backend dask needs Dask, which is not installed: pip install 'dask[distributed]'")
    from distributed import Client, KilledWorker  # only where a cluster is used
    from distributed.client import FutureCancelledError
    from distributed.comm import CommClosedError

    try:
        client = Client(scheduler, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise WorkersError(
            f"no Dask scheduler answers at {scheduler} ({error}): start one with 'dask scheduler' and give the "
            "address that it prints as --scheduler"
        ) from error
    with client:
        try:
            yield client
        except (CommClosedError, FutureCancelledError, KilledWorker) as error:
            raise WorkersError(
                f"the Dask cluster at {scheduler} gave up ({error}): give the same command again, it resumes from here"
            ) from error


def _check_workers(client: Any, scheduler: str, task: Task) -> None:
    try:
        client.wait_for_workers(1, timeout=_WAIT_FOR_WORKERS_S)
    except TimeoutError as error:
        raise WorkersError(
            f"the Dask scheduler at {scheduler} has no workers: start some with 'dask worker {scheduler}' in the "
            "folder of this project"
        ) from error
    probe = task.out / ".journal" / _PROBE
    probe.parent.mkdir(parents=True, exist_ok=True)
    probe.touch()
    try:
        seen = client.run(_missing, [task.raw, probe])
    except ModuleNotFoundError as error:
        raise WorkersError(
            f"workers of {scheduler} cannot import this project ({error}): start them in its folder"
        ) from error
    finally:
        probe.unlink()
    for worker, missing in seen.items():
        if missing:
            raise WorkersError(
                f"worker {worker} does not see {', '.join(map(str, missing))}: raw and out must lie on a disk that all "
                "workers share, under the same path"
            )


def _missing(paths: list[Path]) -> list[Path]:
    return [path for path in paths if not path.exists()]


def _unless_deadly(task: Task, source: Source) -> Outcome:
    """Prepare a source, or reject it if the workers that had it before have died."""
    if count_starts(task.out, source.id) >= _MAX_STARTS:
        return reject_crashed(source, task.out)
    return task(source)
