"""Two torchrun agents with a rank each, all copies of one process: python -m tests.two_nodes DATA FOLDER OPTIONS.

Each writes its runs to FOLDER/node<number> and what it prints to FOLDER/node<number>.txt.
"""

import os
import sys
import time
from pathlib import Path

from tests.forked import Copy, free_port, torchrun
from tests.training import command

TIMEOUT_S = 200


def main(data: Path, folder: Path, options: list[str]) -> int:
    launcher = ["--nnodes=2", "--nproc_per_node=1", "--rdzv_id=test", "--rdzv_backend=c10d", "--local_addr=127.0.0.1"]
    launcher += [f"--rdzv_endpoint=127.0.0.1:{free_port()}", "train.py"]
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo"}
    agents = []
    for number in range(2):
        words = [*launcher, *command(data, folder / f"node{number}", "a", *options)]
        agents.append(Copy(lambda words=words: torchrun(words), environment, folder / f"node{number}.txt"))
    deadline = time.monotonic() + TIMEOUT_S
    for agent in agents:
        agent.wait(max(0, deadline - time.monotonic()))
    for agent in agents:
        agent.terminate()  # torchrun ends its ranks; nothing happens to one that has ended
        agent.wait()
    return int(any(agent.exitcode for agent in agents))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
