"""Kill one of two ranks in the middle of a run: python -m tests.faults.rank_killed [STEP].

torchrun --max_restarts=1 starts both ranks again (given TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1, see
utils/distributed.py), --resume auto goes on from the last checkpoint, and the losses of the whole run are those of one
process that nothing disturbed. Checkpoints are written at the ends of epochs (of 5 steps here): what was done since the
last one is done again; a run that is killed in its first epoch begins anew.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import train
from tests.training import command, losses, make_data

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = "--epochs 12 --imu_dropout 0 --head_dropout 0 --imu_norm layernorm --save_interval 99".split()
TIMEOUT_S = 900


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


def main(kill_after: int = 8) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = make_data(folder / "data")
        train.main(command(data, folder, "alone", *OPTIONS))
        arguments = command(data, folder, "a", *OPTIONS, "--batch_size", "2", "--resume", "auto")
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
        agent = subprocess.Popen(
            [*launcher, "--max_restarts=1", "train.py", *arguments], cwd=ROOT, env=environment, stderr=subprocess.PIPE
        )
        log, deadline = folder / "a" / "log.txt", time.monotonic() + TIMEOUT_S
        while last_step(log) < kill_after and agent.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        os.kill(process_of_rank(agent.pid, 1), signal.SIGKILL)
        killed_after, killed_at = last_step(log), time.monotonic()
        try:
            errors = agent.communicate(timeout=TIMEOUT_S)[1].decode()
        except subprocess.TimeoutExpired:
            agent.terminate()
            errors = agent.communicate()[1].decode()
        if agent.returncode != 0:
            sys.exit(f"{errors[-5000:]}\ntorchrun ended with {agent.returncode}")
        resumed = re.findall(r"resumed .* at step (\d+)", log.read_text())
        alone, together = losses(folder / "alone"), losses(folder / "a")
        if alone.keys() != together.keys():
            sys.exit(f"steps are {sorted(together)}, want {sorted(alone)}")
        largest = max(abs(float.fromhex(together[step]) / float.fromhex(loss) - 1) for step, loss in alone.items())
        if largest > 1e-4:  # float32, summed in another order
            sys.exit(f"losses differ by up to {largest:.1e}")
        origin = f"step {resumed[0]}" if resumed else "the start"
        print(
            f"rank 1 killed after step {killed_after}; went on from {origin}; "
            f"{len(together)} steps done {time.monotonic() - killed_at:.0f} s later; losses within {largest:.1e} of an "
            "undisturbed run's"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
