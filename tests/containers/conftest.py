"""The containers' machine, and images that are built once for all tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from container_host import ContainerHost

TOOLS = ("buildah", "podman", "runc", "mmdebstrap")


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerHost]:
    """Return a machine for containers; ``IMAGE_STORE`` keeps its layers for the next time."""
    missing = [name for name in TOOLS if shutil.which(name) is None]
    if missing or os.getuid() != 0:
        pytest.skip(f"needs root and {', '.join(TOOLS)}; missing: {', '.join(missing) or 'root'}")
    kept = os.environ.get("IMAGE_STORE")
    machine = ContainerHost(Path(kept) if kept else tmp_path_factory.mktemp("containers"))
    yield machine
    machine.podman("rm", "--all", "--force", check=False)
    if not kept:
        machine.podman("system", "reset", "--force", check=False)


@pytest.fixture(scope="session")
def serve(host: ContainerHost) -> str:
    return host.build("serve")


@pytest.fixture(scope="session")
def cpu(host: ContainerHost) -> str:
    return host.build("cpu")
