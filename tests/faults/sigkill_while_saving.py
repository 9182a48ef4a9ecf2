"""Kill a process that saves without pause, at random moments: python -m tests.faults.sigkill_while_saving [KILLS].

A forked child saves ``last.pt`` over and over, gives every other one a second name, and reports each step once it is
saved. After every SIGKILL the newest valid checkpoint must be the last reported one or the one that was under way.
What the kills hit is printed as JSON.
"""

import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

from utils import checkpoint

VALUES = 500_000  # 2 MB: writing, flushing and hashing each take their share of the time


def save_for_ever(folder: Path, step: int, report: int) -> None:
    """Save steps from ``step`` on, writing a line with each to a file descriptor."""
    while True:
        last = folder / "last.pt"
        checkpoint.save(last, {"kind": "x", "step": step, "weights": torch.full((VALUES,), float(step))})
        if step % 2:
            checkpoint.copy(last, folder / f"epoch_{step % 6}.pt")
        os.write(report, f"{step}\n".encode())
        step += 1


def kill_once(folder: Path, step: int, wait_s: float) -> int:
    """Let a child save from ``step`` on and kill it some time after its first save; returns the last saved step."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        save_for_ever(folder, step, writing)
    os.close(writing)
    with open(reading, encoding="ascii") as reports:
        saved = [reports.readline()]
        time.sleep(wait_s)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        saved += reports.readlines()
    return int(saved[-1])


def leftovers(folder: Path) -> set[tuple[str, int]]:
    """Temporary files, by name and time of writing."""
    return {(path.name, path.stat().st_mtime_ns) for path in folder.glob(".*.tmp")}


def what_was_hit(folder: Path, before: set[tuple[str, int]]) -> str:
    """What a kill interrupted, by what it left beside what earlier ones had left."""
    left = {name.split(".")[-2] for name, _ in leftovers(folder) - before}
    digests = max(len(path.read_text().splitlines()) for path in folder.glob("*.sha256"))
    if "sha256" in left:
        return "writing the checksum"
    if digests > 1:
        return "between the checksum and the file"
    return "writing or hashing the file" if "pt" in left else "between two saves"


def main(kills: int = 20) -> None:
    draw = random.Random(os.urandom(8))  # other moments every time
    hit: Counter[str] = Counter()
    step, behind = 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.perf_counter()
        checkpoint.save(folder / "last.pt", {"kind": "x", "step": step, "weights": torch.zeros(VALUES)})
        once_s = time.perf_counter() - start
        for _ in range(kills):
            before = leftovers(folder)
            step = kill_once(folder, step + 1, draw.uniform(0, 3 * min(once_s, 0.1)))
            hit[what_was_hit(folder, before)] += 1
            newest = checkpoint.newest_valid(folder)
            payload = checkpoint.load(newest)
            if payload["step"] not in (step, step + 1) or not bool((payload["weights"] == payload["step"]).all()):
                sys.exit(f"step {step} had been saved, the newest valid checkpoint {newest} holds {payload['step']}")
            behind += payload["step"] == step
            step = payload["step"]
    print(json.dumps({"kills": kills, "hit": hit, "the last reported": behind, "the one after": kills - behind}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
