#!/usr/bin/env bash
# Make .venv in this clone and install requirements.txt into it; does nothing where both are as they were.
# PYTHON names the interpreter (3.11 or newer; default python3).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "setup: $python is not Python 3.11 or newer; name one with PYTHON=/path/to/python3.11" >&2
    exit 1
fi

stamp=.venv/requirements.installed
if [ -x .venv/bin/python ] && cmp -s requirements.txt "$stamp"; then
    exit 0
fi
echo "setup: installing packages into .venv (a few minutes and 6 GB the first time)"
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
cp requirements.txt "$stamp"
