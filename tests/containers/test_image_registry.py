"""Images pushed to a real registry, and pulled by their digest."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from container_host import ContainerHost

pytestmark = [pytest.mark.images, pytest.mark.timeout(1800)]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Return the address of Debian's docker-registry on this machine."""
    if shutil.which("docker-registry") is None:
        pytest.skip("needs docker-registry")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    config = tmp_path / "registry.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/registry}}}}\n"
        f"http: {{addr: '{address}'}}\n"
    )
    with (tmp_path / "registry.log").open("w") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=log, stderr=log
        )
    try:
        for _ in range(500):
            try:
                urllib.request.urlopen(f"http://{address}/v2/", timeout=1).close()
                break
            except OSError:
                time.sleep(0.02)
        yield address
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("builder", ["buildah", "podman"])
def test_what_is_pulled_by_digest_is_what_was_pushed(
    host: ContainerHost, serve: str, registry: str, tmp_path: Path, builder: str
) -> None:
    done = host.roboyard(
        "image", "push", f"{registry}/team/roboyard:serve", "--target=serve",
        f"--builder={builder}", "--", "--tls-verify=false",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    name = done.stdout.splitlines()[-1]
    assert name.startswith(f"{registry}/team/roboyard@sha256:")
    before = host.inspect(serve)["Id"]
    host.podman("pull", "--tls-verify=false", name)
    assert host.inspect(name)["Id"] == before
    told = host.podman("run", "--rm", "--no-healthcheck", name, "--version")
    assert told.startswith("roboyard ")


def test_a_registry_that_is_not_there_is_an_error_of_ours(host: ContainerHost, serve: str) -> None:
    done = host.roboyard(
        "image", "push", "127.0.0.1:9/team/roboyard:serve", "--target=serve",
        "--builder=buildah", "--", "--tls-verify=false", "--retry=0",
    )  # fmt: skip
    assert done.returncode not in (0, 137)
    assert "buildah push ended with exit code" in done.stderr
    assert "Traceback" not in done.stderr
