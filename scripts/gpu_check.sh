#!/usr/bin/env bash
# Everything that only a GPU can show, in one command under 9 minutes (tests/gpu): whether it trains and evaluates as a
# CPU does, and how fast at the paper's sizes. Nothing is downloaded. Writes gpu_check.json and gpu_check.md, a table.
#
#     bash scripts/gpu_check.sh [FOLDER] [arguments of pytest, such as -k resume]      (FOLDER: gpu_check_out)
#
# Runs in .venv if there is one, else by PYTHON or the python3 on the PATH; packages that are missing there are named, and
# may lie in any folder on PYTHONPATH. GPU_CHECK_COMMIT says which commit this is where the code is a copy without .git.
# GPU_CHECK_DEVICE=cpu is a dry run on small sizes without a GPU. Ends with status 0 only if every check passed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=${1:-gpu_check_out}
shift || true

python=${PYTHON:-python3}
if [ -z "${PYTHON-}" ] && [ -x .venv/bin/python ]; then python=.venv/bin/python; fi
"$python" -m tests.gpu.needs

# What comes after the limit is for a device that hangs where Python cannot interrupt it.
limit_s=520
if [ "${GPU_CHECK_DEVICE-}" = cpu ]; then limit_s=3600; fi
export HF_HUB_OFFLINE=1 GPU_CHECK_OUT=$out GPU_CHECK_LIMIT_S=$limit_s
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
rm -f "$out/gpu_check.json" "$out/gpu_check.md"
status=0
timeout --kill-after=3 $((limit_s + 8)) "$python" -m pytest tests/gpu -p no:xdist -p no:cacheprovider \
    --basetemp "$temporary/pytest" "$@" || status=$?
if [ -e "$out/gpu_check.md" ]; then
    cat "$out/gpu_check.md"
    echo "gpu_check: $out/gpu_check.json, $out/gpu_check.md"
fi
exit "$status"
