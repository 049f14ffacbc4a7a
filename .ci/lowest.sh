#!/usr/bin/env bash
# Runs the quick tests with the lowest version of each direct dependency that pyproject.toml
# allows; their own warnings are no faults of ours. torch stays at the version of constraints.txt: other builds of it take gigabytes.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3.11}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check uv
grep '^torch==' constraints.txt >"$work/torch.txt"
echo 'pyparsing<3.3' >>"$work/torch.txt" # what old releases of matplotlib were written against
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$work/torch.txt"
"$work/venv/bin/uv" pip install --python "$work/venv/bin/python" --resolution lowest-direct \
  -c "$work/torch.txt" ".[dev]"
"$work/venv/bin/python" -m pytest -q -W default -p no:cacheprovider -x "${@:-tests/config}" tests/sim tests/agents tests/policies
