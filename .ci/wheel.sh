#!/usr/bin/env bash
# Builds the wheel, installs it alone into an empty environment and trains 64 steps with it:
# finds files that the wheel lacks and imports that only a checkout satisfies.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3.11}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/venv"
pip=("$work/venv/bin/python" -m pip --quiet --disable-pip-version-check)
"${pip[@]}" wheel --no-deps --wheel-dir "$work/dist" .
# torch first and alone, so that nothing pulls another build of it.
"${pip[@]}" install -c constraints.txt torch
"${pip[@]}" install -c constraints.txt "$work"/dist/*.whl
cd "$work" # away from the checkout, so that only the wheel can be imported
venv/bin/roboyard --version
venv/bin/roboyard init smoke.yaml
venv/bin/roboyard train smoke.yaml --run-id smoke --quiet \
  --set train.total_steps=64 --set agent.hyperparameters.n_steps=64 \
  --set agent.hyperparameters.batch_size=64 --set env.num_envs=1
venv/bin/roboyard runs list
echo "the wheel trains"
