"""Fixtures that several test packages share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The optional folder of real recordings; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("IMU_VIDEO_HAR_REAL_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder}: set IMU_VIDEO_HAR_REAL_DATA to their folder")
    return folder
