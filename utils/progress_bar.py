"""How far a long loop has come: a bar on a terminal, a line now and then anywhere else.

Log files of batch queues would hold hundreds of states of a bar. Imports nothing heavy: raw recordings are prepared
without PyTorch.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from tqdm import tqdm

LINE_EVERY_S = 30.0
_LINE = "{desc}: {n_fmt}/{total_fmt} ({percentage:.0f} %), {elapsed} so far, {remaining} left, {rate_fmt}{postfix}"

Item = TypeVar("Item")


def progress(
    items: Iterable[Item] | None = None, *, total: int, desc: str, unit: str, initial: int = 0
) -> "tqdm | Lines[Item]":
    """Wrap a loop, or count by ``update`` inside a ``with``.

    Args:
        items: what to loop over; None where the caller counts.
        total: how many there are, with the first ``initial`` of them.
        desc: what is being done, such as ``prepare mmea``.
        unit: what is counted, such as ``recording``.
        initial: how many were done before, in an earlier call.
    """
    kind = tqdm if sys.stderr.isatty() else Lines
    return kind(items, total=total, desc=desc, unit=unit, initial=initial)


def hide_other_bars() -> None:
    """Keep transformers and huggingface_hub from drawing bars where there is no terminal."""
    if not sys.stderr.isatty():
        from transformers.utils import logging  # slow to import; whoever calls this has it already

        logging.disable_progress_bar()


class Lines(Generic[Item]):
    """What of ``tqdm`` is used here, in lines on standard error: the first, the last, and one every 30 s at most.

    Args:
        clock: seconds, for tests.
    """

    def __init__(
        self,
        items: Iterable[Item] | None,
        total: int,
        desc: str,
        unit: str,
        initial: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._items, self._total, self._desc, self._unit = items, total, desc, unit
        self._done = self._initial = initial
        self._note, self._shown, self._clock = "", -1, clock
        self._begun = clock()
        self._print()

    def __iter__(self) -> Iterator[Item]:
        assert self._items is not None
        with self:
            for item in self._items:
                yield item
                self.update()

    def __enter__(self) -> "Lines[Item]":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def update(self, count: int = 1) -> None:
        """So many more are done."""
        self._done += count
        if self._clock() - self._last >= LINE_EVERY_S:
            self._print()

    def set_postfix_str(self, note: str) -> None:
        """What the next line says beside the numbers."""
        self._note = note

    def write(self, text: str) -> None:
        """Print a line of the caller's own, where ``tqdm.write`` would."""
        tqdm.write(text)

    def close(self) -> None:
        """Print the last line, unless it stands there."""
        if self._done != self._shown:
            self._print()

    def _print(self) -> None:
        self._last, self._shown = self._clock(), self._done
        line = tqdm.format_meter(
            self._done,
            self._total,
            self._last - self._begun,
            prefix=self._desc,
            unit=self._unit,
            initial=self._initial,
            postfix=self._note,
            bar_format=_LINE,
        )
        print(line, file=sys.stderr, flush=True)
