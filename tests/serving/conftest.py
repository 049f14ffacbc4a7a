"""Servers that run in their own process, with small policies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

for module in ("onnx", "onnxruntime", "fastapi", "uvicorn", "websockets"):
    pytest.importorskip(module)

from onnx_policies import counting, linear, looking  # noqa: E402
from server_process import ServerProcess  # noqa: E402


@pytest.fixture(scope="session")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one policy of each kind."""
    folder = tmp_path_factory.mktemp("policies")
    linear(folder / "cartpole.onnx")
    counting(folder / "counter.onnx")
    looking(folder / "looker.onnx")
    return folder


Start = Callable[..., ServerProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a server; all of them end with the test."""
    servers: list[ServerProcess] = []

    def begin(*arguments: object, **environment: str) -> ServerProcess:
        servers.append(ServerProcess([str(argument) for argument in arguments], environment))
        return servers[-1]

    yield begin
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def server(policies: Path) -> Iterator[ServerProcess]:
    """Return a server of all kinds of policies, shared by a module's tests."""
    with ServerProcess([str(path) for path in sorted(policies.glob("*.onnx"))]) as running:
        yield running
