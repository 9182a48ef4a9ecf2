"""How far a long loop has come: a bar on a terminal, a line now and then anywhere else.

Log files of batch queues would hold hundreds of states of a bar. Imports nothing heavy: raw recordings are prepared
without PyTorch.
"""

import math
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

LINE_EVERY_S = 30.0
_LINE = "{desc}: {n_fmt}/{total_fmt} ({percentage:.0f} %), {elapsed} so far, {remaining} left, {rate_fmt}{postfix}"


def progress(items: Iterable | None = None, *, total: int, desc: str, unit: str, initial: int = 0) -> tqdm:
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


class Lines(tqdm):
    """``tqdm`` in lines on standard error: the first, the last, and one every 30 s at most."""

    monitor_interval = 0
    _shown = -1

    def __init__(self, *args: Any, **kwargs: Any):
        times = {"mininterval": LINE_EVERY_S, "maxinterval": math.inf, "miniters": 1, "smoothing": 0}
        super().__init__(*args, **times, bar_format=_LINE, **kwargs)

    def display(self, *_: Any, **__: Any) -> None:
        """Print a line, unless it stands there."""
        if self.n != self._shown:
            self._shown = self.n
            print(self, file=sys.stderr, flush=True)

    def clear(self, *_: Any, **__: Any) -> None:
        """Lines stay where they are."""

    def set_postfix_str(self, s: str = "", refresh: bool = False) -> None:
        """What the next line says beside the numbers."""
        super().set_postfix_str(s, refresh=False)

    def close(self) -> None:
        """Print the last line."""
        if not self.disable:
            self.display()
            self.disable = True
            self._decr_instances(self)
