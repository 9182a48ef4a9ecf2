"""Two nodes of one rank each, as two torchrun agents on this machine: the global rank decides, never the local one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import train
from tests.training import command, losses, make_data
from utils import checkpoint

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = "--epochs 1 --imu_dropout 0 --head_dropout 0 --imu_norm layernorm --device cpu".split()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """Each node has a disk of its own for runs, so that it shows who writes. Both read the same data."""
    folder = tmp_path_factory.mktemp("nodes")
    data = make_data(folder / "data")
    train.main(command(data, folder, "alone", *OPTIONS))
    done = subprocess.run(
        [sys.executable, "-m", "tests.two_nodes", str(data), str(folder), *OPTIONS],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=280,
    )
    outputs = [(folder / f"node{number}.txt").read_text() for number in range(2)]
    assert done.returncode == 0, "\n".join(output[-3000:] for output in outputs)
    return folder, outputs


@pytest.fixture(scope="module")
def written(nodes):
    """The run folder of the node that has global rank 0; which one that is, the agents settle."""
    found = [folder for number in range(2) if (folder := nodes[0] / f"node{number}").exists()]
    assert len(found) == 1, "both nodes have a rank with local rank 0, one of them alone may write"
    return found[0] / "a"


def test_one_node_writes_the_run_and_the_other_nothing(nodes, written):
    assert (written / "checkpoints" / "last.pt").exists()
    assert "batch       4 windows: 2 on each of 2 ranks" in (written / "log.txt").read_text()
    writer = int(written.parent.name[-1])
    assert "step 5/5" in nodes[1][writer]
    assert "step" not in nodes[1][1 - writer]  # nor does it log


def test_losses_are_those_of_one_process_with_the_whole_batch(nodes, written):
    alone, together = losses(nodes[0] / "alone"), losses(written)
    assert len(together) == len(alone) == 5
    for step, loss in together.items():
        # float32: sums in another order, and each step goes on from the last
        assert float.fromhex(loss) == pytest.approx(float.fromhex(alone[step]), rel=1e-6 if step == 0 else 1e-4)


def test_each_rank_draws_its_own_dropout(written):
    """Nothing was drawn here, so what was saved is how each rank was seeded."""
    states = checkpoint.load(written / "checkpoints" / "last.pt")["random_state"]
    assert len(states) == 2
    for rank, state in enumerate(states):
        assert torch.equal(state["cpu"], torch.Generator().manual_seed(rank).get_state())
