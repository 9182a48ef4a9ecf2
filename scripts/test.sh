#!/usr/bin/env bash
# Set up, then run every check: lint, format, tests. Arguments go to pytest (scripts/test.sh tests/models -k probe).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh

.venv/bin/ruff check .
.venv/bin/ruff format --check .
# One thread per process: two test processes share the cores.
export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES-}
exec .venv/bin/python -m pytest --numprocesses "${TEST_PROCESSES:-2}" --dist loadfile "$@"
