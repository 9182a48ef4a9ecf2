"""Kill one of two ranks in the middle of a run: python -m tests.faults.rank_killed [STEP] [RANK].

torchrun --max_restarts=1 starts both ranks again (given TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1, see
utils/distributed.py), --resume auto goes on from the newest checkpoint, and the losses of all steps are, to the last
bit, those of two ranks that nothing disturbed. What was done since that checkpoint is done again; a run that is killed
before its first one begins anew.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.training import command, losses, make_data

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = "--epochs 12 --save_interval 99".split()  # a checkpoint at every 5th step
LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
TIMEOUT_S = 600


def start(data: Path, runs: Path, name: str, *more: str, restarts: int = 0) -> subprocess.Popen:
    """A torchrun over two ranks."""
    words = [f"--max_restarts={restarts}", "train.py", *command(data, runs, name, *OPTIONS, *more)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen([*LAUNCHER, *words], cwd=ROOT, env=environment, text=True, **pipes)


def finish(agent: subprocess.Popen) -> None:
    """Wait for a torchrun; ends this program if it fails or hangs."""
    try:
        errors = agent.communicate(timeout=TIMEOUT_S)[1]
    except subprocess.TimeoutExpired:
        agent.terminate()
        errors = agent.communicate()[1]
    if agent.returncode != 0:
        sys.exit(f"{errors[-5000:]}\ntorchrun ended with {agent.returncode}")


def process_of_rank(agent: int, rank: int) -> int:
    """Process id of a rank that a torchrun started."""
    children = Path(f"/proc/{agent}/task/{agent}/children").read_text().split()
    for child in children:
        if f"RANK={rank}".encode() in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
            return int(child)
    raise RuntimeError(f"torchrun {agent} has no rank {rank} among its children {children}")


def last_step(log: Path) -> int:
    """The last step that a run's log tells of, 0 before the first."""
    return int((re.findall(r"step (\d+)/", log.read_text() if log.exists() else "") or ["0"])[-1])


def main(kill_after: int = 8, rank: int = 1) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = make_data(folder / "data")
        finish(start(data, folder, "undisturbed"))
        agent = start(data, folder, "killed", "--resume", "auto", restarts=1)
        log, deadline = folder / "killed" / "log.txt", time.monotonic() + TIMEOUT_S
        while last_step(log) < kill_after and agent.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        os.kill(process_of_rank(agent.pid, rank), signal.SIGKILL)
        killed_after, killed_at = last_step(log), time.monotonic()
        finish(agent)
        took_s = time.monotonic() - killed_at
        starts = log.read_text().count("device  ")
        if starts != 2:
            sys.exit(f"the ranks were started {starts} times, want 2: the kill came too late, or restarts failed")
        resumed = re.findall(r"resumed .* at step (\d+)", log.read_text())
        expected, found = losses(folder / "undisturbed"), losses(folder / "killed")
        if found != expected:
            steps = [step for step in expected.keys() | found.keys() if expected.get(step) != found.get(step)]
            sys.exit(f"losses differ at steps {sorted(steps)}")
        print(
            f"rank {rank} killed after step {killed_after}; both went on from "
            f"{f'step {resumed[0]}' if resumed else 'the start'}; done {took_s:.0f} s later; "
            f"the losses of all {len(found)} steps are those of an undisturbed run, bit for bit"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
