"""Two ranks of a training run, on one of which something really fails, started with what srun and a script set.

    python -m tests.faults.one_rank_fails FOLDER

FOLDER holds data, and for the faults of FAULTS what they need: bad/<fault>, a copy of data that cannot be read. Per
fault it gets runs/<fault>, what each rank printed as <fault>.<rank>.txt, and in found.json the statuses and how many
seconds went by from the failure to the end of both ranks. Ranks are forked from a process that has imported all they
use, which takes longer than their training; a few faults are under way at the same time, as ranks mostly wait for each
other. One fault is under way under torchrun too, in FOLDER/torchrun, which prints to FOLDER/torchrun.txt; its ranks are
``python -m tests.faults.one_rank_fails FOLDER/torchrun FAULT``.
"""

import json
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

import train
from models.dual_encoder import DualEncoder
from models.objectives import CrossModal
from tests.forked import Copy, free_port, torchrun
from tests.training import command
from utils import checkpoint, failure

TIMEOUT_S = 100
AT_ONCE = 4  # faults
TORCHRUN = "torchrun"  # of both ranks of the fault "memory"


def at_step(number: int, happens: Callable[[], None]) -> None:
    """Have something happen in a forward pass, counted from 0."""
    forward, calls = DualEncoder.forward, []

    def patched(self, *inputs):
        calls.append(1)
        if len(calls) == number + 1:
            happens()
        return forward(self, *inputs)

    DualEncoder.forward = patched


def take_too_much_memory() -> None:
    torch.empty(2**60, dtype=torch.uint8)


def end_by_signal() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill_the_disk() -> None:
    """The second save meets a limit on the size of files, which the first one did not."""
    save, calls = checkpoint.save, []

    def patched(path, payload):
        calls.append(1)
        if len(calls) == 2:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size // 2, hard))
        save(path, payload)

    checkpoint.save = patched


def break_the_report() -> None:
    CrossModal.describe = lambda *_: {}["no such metric"]


# By fault, the rank that it befalls, and how. One that is busy is so for good, as in a collective of NCCL that waits
# for a rank which is gone.
FAULTS = {
    "save": {0: fill_the_disk},
    "memory": {1: lambda: at_step(7, take_too_much_memory)},
    "memory, other busy": {1: lambda: at_step(7, take_too_much_memory), 0: lambda: at_step(7, lambda: time.sleep(600))},
    "killed": {1: lambda: at_step(7, end_by_signal)},
    "first killed": {0: lambda: at_step(7, end_by_signal)},
    "defect": {0: break_the_report},
    "loader": {1: None},
    "evaluation": {0: None},
}


def one_rank(folder: Path, fault: str) -> None:
    """A rank, to its end; RANK and what goes with it are set."""
    rank = int(os.environ["RANK"])
    data = folder / "data"
    if rank in FAULTS[fault]:
        if FAULTS[fault][rank] is None:
            data = folder / "bad" / fault
        else:
            FAULTS[fault][rank]()
    experiment = train.train

    def timed(*arguments):
        try:
            return experiment(*arguments)
        except BaseException:
            (folder / f"{fault}.{rank}.time").write_text(repr(time.time()))
            raise

    train.train = timed
    words = command(data, folder / "runs", fault, "--eval_interval", "2", "--batch_size", "4", "--epochs", "40")
    failure.run(lambda: train.main(words), "train.py", train.EXPECTED)


class TwoRanks:
    """Both ranks of a fault, which nobody looks after."""

    def __init__(self, folder: Path, fault: str):
        self.folder, self.fault = folder, fault
        known = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        self.ranks: list[int] = []
        for rank in range(2):
            self.ranks.append(os.fork())
            if self.ranks[-1] == 0:
                output = os.open(folder / f"{fault}.{rank}.txt", os.O_CREAT | os.O_WRONLY)
                os.dup2(output, 1)
                os.dup2(output, 2)
                os.environ |= known | {"RANK": str(rank), "SLURM_LOCALID": str(rank)}
                one_rank(folder, fault)
        self.deadline, self.statuses, self.ended_at = time.monotonic() + TIMEOUT_S, {}, []

    def found(self) -> dict | None:
        """What there is to tell once both have ended, or the time is up; None before."""
        for rank, process in enumerate(self.ranks):
            if rank not in self.statuses and (ended := os.waitpid(process, os.WNOHANG))[0]:
                self.statuses[rank] = os.waitstatus_to_exitcode(ended[1])
                self.ended_at.append(time.time())
        if len(self.statuses) < 2 and time.monotonic() < self.deadline:
            return None
        for rank in {0, 1} - self.statuses.keys():
            os.kill(self.ranks[rank], signal.SIGKILL)
            os.waitpid(self.ranks[rank], 0)
        failed_at = [float(path.read_text()) for path in self.folder.glob(f"{self.fault}.*.time")]
        took_s = time.time() - min([*failed_at, *self.ended_at], default=-math.inf)
        return {"statuses": [self.statuses.get(rank) for rank in range(2)], "took_s": took_s}


class UnderTorchrun:
    """Both ranks of a fault, which torchrun looks after."""

    def __init__(self, folder: Path, fault: str):
        self.words = ["--standalone", "--nproc_per_node=2", "-m", "tests.faults.one_rank_fails", str(folder), fault]
        self.failed_at = folder / f"{fault}.{max(FAULTS[fault])}.time"
        self.agent = Copy(lambda: torchrun(self.words), dict(os.environ), folder.with_suffix(".txt"))
        self.deadline = time.monotonic() + TIMEOUT_S

    def found(self) -> dict | None:
        """As those of TwoRanks; the status is torchrun's."""
        if self.agent.exitcode is None and time.monotonic() < self.deadline:
            return None
        took_s = time.time() - float(self.failed_at.read_text()) if self.failed_at.exists() else math.inf
        self.agent.terminate()  # torchrun ends its ranks; nothing happens to one that has ended
        self.agent.join()
        return {"status": self.agent.exitcode, "took_s": took_s}


def main(folder: Path, fault: str | None = None) -> None:
    torch.set_num_threads(1)
    if fault is not None:
        one_rank(folder, fault)
    waiting, running, found = [TORCHRUN, *FAULTS], {}, {}
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            name = waiting.pop(0)
            own = name == TORCHRUN
            running[name] = UnderTorchrun(folder / TORCHRUN, "memory") if own else TwoRanks(folder, name)
        for name, ranks in list(running.items()):
            if (ended := ranks.found()) is not None:
                found[name] = ended
                del running[name]
        time.sleep(0.05)
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
