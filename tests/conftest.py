"""Fixtures that several test packages share."""

import os
import shutil
from pathlib import Path

import pytest

from tests.browser import Browser

ROOT = Path(__file__).resolve().parents[1]


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
