"""Fixtures that several test packages share."""

import os
import shutil
from pathlib import Path

import pytest

from tests.browser import Browser

ROOT = Path(__file__).resolve().parents[1]
# The files that take longest, 10 s and more, the longest first. Test processes are given whole files, in this order: a
# long one that is begun last leaves the other processes without work.
LONGEST = """
test_two_ranks.py faults/test_one_rank.py datasets/preparation/test_parallel.py scripts/test_predict.py
test_downstream.py scripts/test_reproduce.py datasets/preparation/test_lock.py test_multinode.py
scripts/test_gpu_check.py test_train.py scripts/test_export_onnx.py scripts/test_prepare_quality.py
scripts/test_check_sync.py scripts/test_describe.py models/test_memory.py scripts/test_prepare.py
datasets/preparation/test_cluster.py scripts/test_prepare_pd.py scripts/test_bad_inputs.py
scripts/reporting/test_folds_page.py scripts/test_benchmark.py scripts/test_sbatch.py test_small_encoders.py
scripts/test_features.py test_pretrain_configs.py test_data_dictionary.py scripts/test_setup.py models/test_finetune.py
datasets/synchrony/test_offset.py scripts/reporting/test_study_page.py faults/test_checkpoints.py
""".split()


def pytest_collection_modifyitems(items):
    """Files that take longest first (LONGEST), the others as they were."""
    place = {ROOT / "tests" / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The optional folder of real recordings; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("IMU_VIDEO_HAR_REAL_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder}: set IMU_VIDEO_HAR_REAL_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def browser(tmp_path_factory) -> Browser:
    """A headless browser; tests that look at a page through one skip where none is installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((path for name in names if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser found (looked for {', '.join(names)}): install chromium to test pages in one")
    return Browser(program, tmp_path_factory.mktemp("browser"))
