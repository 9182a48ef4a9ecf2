"""The engine of several machines: a Dask cluster that is already running.

Dask is only needed here: ``pip install 'dask[distributed]'``, the same on every machine. Workers must be able to
import this project (start them in its folder) and see the folders of the recordings and of the dataset.
"""

import importlib.util
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datasets.preparation.parallel import Work, WorkersError
from datasets.preparation.source import Status
from datasets.recording import Source

_CONNECT_S = 30  # a scheduler may have been started a moment ago
_WAIT_FOR_WORKERS_S = 60


def on_cluster(work: Work, sources: Iterable[Source], client: Any) -> Iterator[tuple[Source, Status | None]]:
    """An engine for ``prepare_all``. The scheduler retries the source of a dead worker on others, a few times."""
    from distributed import KilledWorker, as_completed  # only where a cluster is used

    futures = {client.submit(work, source, pure=False): source for source in sources}
    for future in as_completed(futures):
        killed = future.status == "error" and isinstance(future.exception(), KilledWorker)
        yield futures[future], None if killed else future.result()


@contextmanager
def connected(scheduler: str, paths: list[Path]) -> Iterator[Any]:
    """A client of a cluster, once all its workers can read these paths.

    Args:
        scheduler: its address, such as ``tcp://host:8786``.
        paths: absolute.

    Raises:
        WorkersError: if Dask is not installed, the cluster cannot be reached, or its workers lack code or paths.
    """
    if importlib.util.find_spec("distributed") is None:
        raise WorkersError("scheduler needs Dask, which is not installed: pip install 'dask[distributed]'")
    from distributed import Client
    from distributed.client import FutureCancelledError
    from distributed.comm import CommClosedError

    try:
        client = Client(scheduler, timeout=_CONNECT_S)
    except (OSError, ValueError) as error:
        raise WorkersError(
            f"no Dask scheduler answers at {scheduler} ({error}): start one with 'dask scheduler' and give the "
            "address that it prints as --scheduler"
        ) from error
    with client:
        try:
            _check_workers(client, scheduler, paths)
            yield client
        except (CommClosedError, FutureCancelledError) as error:
            raise WorkersError(
                f"the Dask cluster at {scheduler} stopped ({error}): give the same command again, it resumes from here"
            ) from error


def _check_workers(client: Any, scheduler: str, paths: list[Path]) -> None:
    try:
        client.wait_for_workers(1, timeout=_WAIT_FOR_WORKERS_S)
        seen = client.run(_missing, paths)
    except TimeoutError as error:
        raise WorkersError(
            f"the Dask scheduler at {scheduler} has no workers: start some with 'dask worker {scheduler}' in the "
            "folder of this project"
        ) from error
    except ModuleNotFoundError as error:
        raise WorkersError(
            f"workers of {scheduler} cannot import this project ({error}): start them in its folder"
        ) from error
    for worker, missing in seen.items():
        if missing:
            raise WorkersError(
                f"worker {worker} does not see {', '.join(map(str, missing))}: raw and out must lie on a disk that all "
                "workers share, under the same path"
            )


def _missing(paths: list[Path]) -> list[Path]:
    return [path for path in paths if not path.exists()]
