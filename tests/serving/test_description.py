"""The OpenAPI description says exactly what is accepted."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from server_process import ServerProcess

Start = Callable[..., ServerProcess]
PROGRAM = Path(sys.executable).with_name("schemathesis")


def test_each_policy_is_described_with_its_entries(start: Start, policies: Path) -> None:
    server = start(policies / "cartpole.onnx", policies / "looker.onnx")
    with urllib.request.urlopen(server.address + "/openapi.json") as answer:
        paths = json.load(answer)["paths"]
    body = paths["/v1/policies/cartpole/act"]["post"]["requestBody"]["content"]
    single, by_name, batch = body["application/json"]["schema"]["properties"]["observation"][
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


def test_the_memory_of_a_recurrent_policy_is_described(start: Start, policies: Path) -> None:
    server = start(policies / "counter.onnx")
    with urllib.request.urlopen(server.address + "/openapi.json") as answer:
        paths = json.load(answer)["paths"]
    body = paths["/v1/policies/counter/act"]["post"]["requestBody"]["content"]
    one, many = body["application/json"]["schema"]["anyOf"]
    state, _ = one["properties"]["state"]["anyOf"]
    assert (state["minItems"], state["prefixItems"][0]["maxItems"]) == (1, 1)
    assert many["properties"]["state"]["type"] == "null"


@pytest.mark.parametrize(
    ("names", "examples"),
    [
        (["cartpole"], 15),
        pytest.param(
            ["cartpole", "counter", "looker"],
            100,
            marks=[pytest.mark.slow, pytest.mark.timeout(1800)],
        ),
    ],
)
def test_schemathesis_finds_nothing(
    start: Start, policies: Path, tmp_path: Path, names: list[str], examples: int
) -> None:
    server = start(*(policies / f"{name}.onnx" for name in names))
    arguments = ["--max-examples", str(examples), "--seed", "1", "--generation-database", "none"]
    # What is behind {name} is described exactly under the policy's own path.
    arguments += ["--exclude-path", "/v1/policies/{name}/act"]
    if len(names) > 1:  # Then a header must name one.
        arguments += ["--exclude-path", "/invocations"]
    else:
        arguments += ["--phases", "coverage,fuzzing"]
    result = subprocess.run(
        [PROGRAM, "run", server.address + "/openapi.json", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=1700,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert not server.log("request failed")
