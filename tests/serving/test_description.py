"""The OpenAPI description says exactly what is accepted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from server_process import ServerProcess

Start = Callable[..., ServerProcess]
PROGRAM = shutil.which("schemathesis", path=str(Path(sys.executable).parent))


def test_each_policy_is_described_with_its_entries(start: Start, policies: Path) -> None:
    server = start(policies / "cartpole.onnx", policies / "looker.onnx")
    with urllib.request.urlopen(server.address + "/openapi.json") as answer:
        paths = json.load(answer)["paths"]
    body = paths["/v1/policies/cartpole/act"]["post"]["requestBody"]["content"]
    single, batch, by_name = body["application/json"]["schema"]["properties"]["observation"][
        "anyOf"
    ]
    assert single["prefixItems"][1] == {
        "type": "number", "minimum": -1.5, "maximum": 1.5, "description": "pole angle [rad]",
    }  # fmt: skip
    assert batch["items"] == single
    assert by_name["required"] == ["cart position", "pole angle"]
    body = paths["/v1/policies/looker/act"]["post"]["requestBody"]["content"]
    (form,) = body["application/json"]["schema"]["properties"]["observation"]["anyOf"]
    assert form["required"] == ["camera", "speed"]


def test_schemathesis_finds_nothing(start: Start, policies: Path) -> None:
    if PROGRAM is None:
        pytest.skip("schemathesis is not installed (pip install schemathesis)")
    server = start(policies / "cartpole.onnx")
    arguments = ["--max-examples", "40", "--phases=coverage,fuzzing", "--seed", "1"]
    # What is behind {name} is described exactly under the policy's own path.
    arguments += ["--exclude-path", "/v1/policies/{name}/act"]
    result = subprocess.run(
        [PROGRAM, "run", server.address + "/openapi.json", *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert not server.log("request failed")
