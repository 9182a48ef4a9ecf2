#!/usr/bin/env bash
# Make .venv in this clone and install what the commands need (requirements.txt); with --dev also what the checks need
# (requirements-dev.txt). Does nothing where the same is installed already. A .venv for use is extended by --dev.
# PYTHON names the interpreter (3.11 or newer; default python3).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

files=(requirements.txt)
case "$*" in
    "") ;;
    --dev) files+=(requirements-dev.txt) ;;
    *) echo "setup: unknown arguments $*; the only one is --dev" >&2 && exit 1 ;;
esac
python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "setup: $python is not Python 3.11 or newer; name one with PYTHON=/path/to/python3.11" >&2
    exit 1
fi

# .venv holds a copy of each file as it was installed.
installed=yes
for file in "${files[@]}"; do
    cmp -s "$file" ".venv/$file.installed" || installed=
done
if [ -x .venv/bin/python ] && [ "$installed" ]; then
    exit 0
fi
echo "setup: installing ${files[*]} into .venv (a few minutes and 6 GB the first time)"
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check "${files[@]/#/--requirement=}"
for file in "${files[@]}"; do
    cp "$file" ".venv/$file.installed"
done
