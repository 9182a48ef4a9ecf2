"""scripts/gpu_check.sh where there is no card: what it writes, what it refuses, and that a dry run goes through."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gpu.needs import missing
from tests.gpu.report import GpuReport

ROOT = Path(__file__).resolve().parents[2]


def run(out: Path, *words: str, **variables: str) -> subprocess.CompletedProcess:
    """The script, on a machine whose cards it may not see."""
    environment = os.environ | {"PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    environment["PYTEST_DEBUG_TEMPROOT"] = str(out)  # else it removes the folders of earlier sessions at its end
    command = ["bash", str(ROOT / "scripts" / "gpu_check.sh"), str(out), *words]
    return subprocess.run(command, env=environment | variables, capture_output=True, text=True, timeout=250)


def written(out: Path) -> tuple[dict, str]:
    return json.loads((out / "gpu_check.json").read_text()), (out / "gpu_check.md").read_text()


def test_a_dry_run_of_one_check(tmp_path):
    done = run(tmp_path, "-k", "test_paper_sizes and not less and not compiled", GPU_CHECK_DEVICE="cpu")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    content, table = written(tmp_path)
    (check,) = content["checks"]
    assert (check["name"], check["passed"], content["passed"]) == ("test_paper_sizes", True, True)
    assert check["figures"]["windows per second"] > 0 and check["seconds"] > 0
    assert 0 < check["figures"]["share of the measured peak (goal 0.4)"] < 1
    assert "dry run" in content["device"] and content["packages"]["torch"] in table
    assert table in done.stdout


def test_without_a_card_it_says_so(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 1 and "sees no CUDA device; GPU_CHECK_DEVICE=cpu" in done.stderr
    assert not (tmp_path / "gpu_check.json").exists()


def test_a_check_that_may_not_end_in_time_is_named(tmp_path):
    command = [sys.executable, "-m", "pytest", "tests/gpu", "-p", "no:xdist", "-p", "no:cacheprovider", "-k", "zero"]
    variables = {"GPU_CHECK_DEVICE": "cpu", "GPU_CHECK_OUT": str(tmp_path), "GPU_CHECK_LIMIT_S": "30"}
    variables["PYTEST_DEBUG_TEMPROOT"] = str(tmp_path)
    done = subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, timeout=120)
    assert done.returncode == 1
    content, table = written(tmp_path)
    assert [check["passed"] for check in content["checks"]] == [False, False] and not content["passed"]
    assert all(check["why"].startswith("Failed: not run: it may take 600 s") for check in content["checks"])
    assert "* test_zero_shot[imu_to_video]: Failed: not run" in table and "0 of 2 checks passed" in table


def test_a_killed_run_leaves_what_it_found(tmp_path):
    report = GpuReport(tmp_path, "cpu", limit_s=100)
    report.begin("test_first")
    report.add("test_first", 1.0, {}, None)  # its fixtures
    report.add("test_first", 2.0, {"speed": 1234.5, "equal": True}, "")
    report.add("test_first", 0.5, {"speed": 1234.5, "equal": True}, None)
    report.begin("test_second")
    report.add("test_second", 1.0, {}, None)
    content, table = written(tmp_path)
    first, second = content["checks"]
    assert (first["passed"], first["seconds"], first["figures"]["speed"]) == (True, 3.5, 1234.5)
    assert (second["passed"], second["why"], content["passed"]) == (False, "did not end", False)
    assert "speed: 1,234; equal: yes" in table and "1 of 2 checks passed" in table


@pytest.mark.parametrize("when", ["fixture", "check", "end"])
def test_a_failure_anywhere_counts(tmp_path, when):
    report = GpuReport(tmp_path, "cpu", limit_s=100)
    report.begin("test_a")
    report.add("test_a", 1.0, {}, "it broke" if when == "fixture" else None)
    if when != "fixture":
        report.add("test_a", 1.0, {}, "it broke" if when == "check" else "")
    report.add("test_a", 1.0, {}, "it broke" if when == "end" else None)
    assert not report.content()["passed"] and report.content()["checks"][0]["why"] == "it broke"


def test_missing_packages_are_named():
    use = "numpy>=2.0   # arrays\nno-such-package>=1\n"
    assert missing(use, "-r requirements.txt\nruff>=0\npytest>=8\nno-check>=1\n") == ["no-such-package>=1"]
