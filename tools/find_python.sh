#!/bin/sh
# Prints the path of a Python 3.13 or newer that runs: the project's own environment once it is complete,
# then what is on PATH, then what pyenv has installed (its shims may name versions that are not active).
set -u

works() {
    [ -n "$1" ] && "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 13))' >/dev/null 2>&1
}

here=$(cd "$(dirname "$0")/.." && pwd)
if [ -f "$here/.venv/graphattend-stamp" ] && works "$here/.venv/bin/python"; then
    echo "$here/.venv/bin/python"
    exit 0
fi

for name in "${PYTHON:-}" python3.14 python3.13 python3 python; do
    [ -n "$name" ] || continue
    path=$(command -v "$name" 2>/dev/null) || continue
    if works "$path"; then
        echo "$path"
        exit 0
    fi
done

for root in "$(pyenv root 2>/dev/null)" "${PYENV_ROOT:-}" "$HOME/.pyenv"; do
    [ -n "$root" ] || continue
    for minor in 14 13; do
        for path in "$root"/versions/3.$minor*/bin/python; do
            if works "$path"; then
                echo "$path"
                exit 0
            fi
        done
    done
done

echo "No Python 3.13 or newer found (looked on PATH and under pyenv). Install one, or set PYTHON=/path/to/python." >&2
exit 1
