"""The Slurm examples, with stand-ins for srun and scontrol."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts import prepare
from tests.mmea import contents, write_mmea

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "pretrain.sbatch"
SCONTROL = """#!/bin/bash
if [[ $1 == show ]]; then printf 'node7\\nnode8\\n'; else echo "$@" >> "$LOG"; fi
"""
SRUN = """#!/bin/bash
echo "$@" > "$LOG.srun"
{body}
"""
TRAINS_UNTIL_TERMINATED = "trap 'exit 143' TERM; touch \"$LOG.running\"; while true; do sleep 0.05; done"


def start(tmp_path: Path, srun: str) -> subprocess.Popen:
    for name, text in (("srun", SRUN.format(body=srun)), ("scontrol", SCONTROL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(tmp_path / "log")}
    environment |= {"SLURM_JOB_ID": "54321", "SLURM_JOB_NODELIST": "node[7-8]", "SLURM_JOB_NUM_NODES": "2"}
    command = ["bash", str(SCRIPT), "--config", "a b.yaml", "--run_name", "x"]
    return subprocess.Popen(command, env=environment | {"SLURM_GPUS_ON_NODE": "4"})


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_signal_ends_the_step_and_requeues_the_job(tmp_path, number):
    process = start(tmp_path, TRAINS_UNTIL_TERMINATED)
    deadline = time.monotonic() + 60
    while not (tmp_path / "log.running").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(60) == 143
    assert (tmp_path / "log").read_text() == "requeue 54321\n"


@pytest.mark.parametrize("status", [0, 1])
def test_a_step_that_ends_by_itself_is_not_requeued(tmp_path, status):
    assert start(tmp_path, f"exit {status}").wait(60) == status
    assert not (tmp_path / "log").exists()


def test_all_nodes_meet_at_the_first(tmp_path):
    start(tmp_path, "exit 0").wait(60)
    words = (tmp_path / "log.srun").read_text()
    for expected in ("--nnodes=2", "--nproc_per_node=4", "--rdzv_endpoint=node7:24321", "--rdzv_id=54321-0"):
        assert expected in words
    assert words.endswith("train.py --resume auto --config a b.yaml --run_name x\n")


TWO_TASKS = """#!/bin/bash
"$@" & "$@" &
trap 'kill $(jobs -p)' TERM EXIT
wait
"""


def test_prepare_on_slurm_gives_the_dataset_of_one_machine(tmp_path):
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'dask[distributed]'")
    python = f'#!/bin/bash\nexec {sys.executable} "$@"\n'
    for path, text in ((tmp_path / "bin/srun", TWO_TASKS), (tmp_path / ".venv/bin/python", python)):
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(0o755)
    words = ["--format", "mmea", "--raw", str(write_mmea(tmp_path / "raw", 4)), "--frame_size", "64"]
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    command = ["bash", str(ROOT / "scripts/prepare.sbatch"), *words, "--out", "there"]
    environment |= {"SLURM_JOB_ID": str(os.getpid())}
    done = subprocess.run(command, cwd=tmp_path, env=environment, timeout=600, capture_output=True, text=True)
    assert done.returncode == 0 and "4 prepared" in done.stdout, done.stderr
    prepare.main([*words, "--out", str(tmp_path / "here"), "--num_workers", "1"])
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
