"""Measuring on a machine that others use too: contenders in turn, CPU time beside wall time, medians and ranges."""

import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from utils.tables import markdown

Clock = Literal["cpu_s", "wall_s"]


@dataclass(frozen=True)
class Cost:
    """What some work took.

    Attributes:
        amount: how much was done, such as windows.
        cpu_s: user and system time of the process and of its children that have ended.
        wall_s: time by the clock.
    """

    amount: float
    cpu_s: float
    wall_s: float


def cpu_seconds() -> float:
    """User and system time of this process, all its threads, and its ended children."""
    usages = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(work: Callable[[], float]) -> Cost:
    """Do some work, which returns how much it did."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    amount = work()
    return Cost(amount, cpu_seconds() - cpu, time.perf_counter() - wall)


def in_turn(contenders: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[Cost]]:
    """Let contenders work in turn, so that what disturbs the machine disturbs all; a first round is not counted."""
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    for round_number in range(repeats + 1):
        for name, work in contenders.items():
            progress(f"round {round_number} of {repeats}: {name}")
            cost = measure(work)
            if round_number > 0:
                costs[name].append(cost)
    return costs


def per_second(costs: list[Cost], clock: Clock) -> list[float]:
    """Amount done per second of CPU time or by the clock, in each round."""
    return [cost.amount / getattr(cost, clock) for cost in costs]


def ratio(ours: list[float], theirs: list[float]) -> list[float]:
    """How many times more one contender does than another, round by round."""
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def peak_rss_mib(work: Callable[..., object], *args: object) -> float:
    """Peak resident memory of a fresh process that does some work, everything that it imports included."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_work_and_look, (work, args))


def _work_and_look(work: Callable[..., object], args: tuple) -> float:
    work(*args)
    status = Path("/proc/self/status").read_text()  # getrusage would count the parent's memory too
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


@dataclass
class Report:
    """A benchmark's table and figures.

    Attributes:
        values: what ``--json`` prints.
    """

    title: str
    values: dict[str, float] = field(default_factory=dict)
    _rows: list[tuple[str, str, str]] = field(default_factory=list)
    _load: float = field(default_factory=lambda: os.getloadavg()[0])

    def add(self, what: str, figures: list[float], target: str = "", key: str | None = None) -> None:
        """A line of the table, from the figure of each round; with a key, its median is in the JSON object too."""
        median, *ends = map(number, (statistics.median(figures), min(figures), max(figures)))
        self._rows.append((what, f"{median} ({' to '.join(ends)})", target))
        if key is not None:
            self.values[key] = statistics.median(figures)

    def table(self) -> str:
        load = f"load average {self._load:.1f} at the start, {os.getloadavg()[0]:.1f} at the end"
        table = markdown(("", "median (range)", "target"), self._rows)
        return "\n".join([self.title, "", table, "", f"{os.cpu_count()} cores; {load}"])


def number(value: float) -> str:
    """Three significant digits or whole numbers, whichever is more."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def progress(text: str) -> None:
    """Say on standard error what is being done."""
    print(text, file=sys.stderr, flush=True)
