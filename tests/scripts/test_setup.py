"""scripts/setup.sh: what a .venv holds already is not installed again, and --dev extends one for use."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def installs(clone: Path, *flags: str) -> list[str]:
    """Requirements files that setup.sh installs, in a real .venv."""
    command = ["bash", str(clone / "scripts" / "setup.sh"), *flags]
    environment = os.environ | {"PYTHON": sys.executable}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [word for word in done.stdout.split() if word.endswith(".txt")]


def test_what_setup_installs(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "setup.sh", tmp_path / "scripts")
    use, dev = tmp_path / "requirements.txt", tmp_path / "requirements-dev.txt"
    use.write_text("# nothing\n")
    dev.write_text("-r requirements.txt\n")
    assert installs(tmp_path) == ["requirements.txt"]
    assert installs(tmp_path) == []
    assert installs(tmp_path, "--dev") == ["requirements.txt", "requirements-dev.txt"]
    assert installs(tmp_path, "--dev") == [] and installs(tmp_path) == []
    use.write_text("# changed\n")
    assert installs(tmp_path) == ["requirements.txt"]
    assert installs(tmp_path, "--dev") == []  # the files for checks have not changed
    dev.write_text("-r requirements.txt\n# changed\n")
    assert installs(tmp_path) == []
    assert installs(tmp_path, "--dev") == ["requirements.txt", "requirements-dev.txt"]


def test_unknown_arguments_are_refused():
    done = subprocess.run(["bash", str(ROOT / "scripts" / "setup.sh"), "--use"], capture_output=True, text=True)
    assert done.returncode == 1 and "--dev" in done.stderr
