#!/usr/bin/env bash
# The end of an environment: its list of materials, and out with what only an installation needs.
set -euo pipefail
/opt/tools/bin/cyclonedx-py environment --output-reproducible --output-format JSON \
  --output-file /opt/venv/sbom.cdx.json /opt/venv/bin/python
/opt/venv/bin/python -m pip uninstall --quiet --yes pip setuptools 2>/dev/null || /opt/venv/bin/python -m pip uninstall --quiet --yes pip
find /opt/venv -name __pycache__ -type d -prune -exec rm -rf {} +
find /opt/venv -type d \( -name tests -o -name test \) -path '*/site-packages/*' -prune \
  \( -path '*/onnx/*' -o -path '*/numpy/*' -o -path '*/sympy/*' -o -path '*/scipy/*' -o -path '*/matplotlib/*' \) -exec rm -rf {} +
# Time stamps are all that differs between two builds of one revision; with one date they agree too.
if [ "${SOURCE_DATE_EPOCH:-0}" != 0 ]; then
  find /opt/venv -newermt "@$SOURCE_DATE_EPOCH" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
fi
