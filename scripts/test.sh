#!/usr/bin/env bash
# Set up, then run every check: lint, format, tests. Arguments go to pytest (scripts/test.sh tests/models -k probe).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh --dev

# Pages are checked in a headless browser. Where there is none and this may install one, do; else those tests skip.
if ! command -v chromium chromium-browser google-chrome >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "test: installing chromium"
    { apt-get update -qq && apt-get install -qq --no-install-recommends -y chromium; } >/dev/null 2>&1 ||
        echo "test: chromium cannot be installed here; tests of pages in a browser will skip"
fi

.venv/bin/ruff check .
.venv/bin/ruff format --check .
# One thread per process: two test processes share the cores.
export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES-}
# Files in the order of tests/conftest.py, the longest first.
exec .venv/bin/python -m pytest --numprocesses "${TEST_PROCESSES:-2}" --dist loadfile --no-loadscope-reorder "$@"
