#!/usr/bin/env bash
# The end of an environment: its list of materials, and out with what only an installation needs.
set -euo pipefail
python=/opt/venv/bin/python
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# The wheel that only named the dependencies; the real one is a layer of its own.
"$python" -m pip uninstall --quiet --yes roboyard setuptools pip
/opt/tools/bin/cyclonedx-py environment --output-reproducible --output-format JSON \
  --pyproject pyproject.toml --output-file /opt/venv/sbom.cdx.json "$python"
find /opt/venv -name __pycache__ -type d -prune -exec rm -rf {} +
# Tests that packages install; numpy.testing and the like stay.
for name in matplotlib numpy onnx scipy sympy; do
  [ ! -d "$site/$name" ] || find "$site/$name" -type d \( -name tests -o -name test \) -prune -exec rm -rf {} +
done
# Bytecode: a root that is read-only never keeps any, and every process would compile anew. By
# hash and not by time stamp, so that it is the same in each build; not every file compiles.
"$python" -m compileall -q --invalidation-mode unchecked-hash "$site" > /dev/null || true
# One date in every revision, so that this layer only changes with the packages.
find /opt/venv -exec touch --no-dereference --date=2020-01-01T00:00:00Z {} +
