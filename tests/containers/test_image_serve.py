"""The image that answers requests, built and run for real."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from container_host import ContainerHost, writable

from roboyard.config.load import load
from roboyard.training.trainer import Trainer

pytestmark = [pytest.mark.images, pytest.mark.timeout(1800)]
OWN_LIMIT = 350e6
OBSERVATION = {"observation": [0.0, 0.1, 0.02, -0.3]}


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a policy that was trained outside of any container."""
    folder = tmp_path_factory.mktemp("policies")
    config = {
        "name": "cartpole",
        "store": str(folder / "runs"),
        "env": {"id": "roboyard/SimpleRobot-v0"},
        "agent": {"algorithm": "PPO", "hyperparameters": {"n_steps": 32, "batch_size": 32}},
        "train": {"total_steps": 64},
        "video": {"every_steps": None, "final": False},
    }
    result = Trainer(load(config), progress=False).train()
    served = writable(folder / "served")
    shutil.copy(result.run_dir / "policy" / "last.zip", served / "cartpole.zip")
    return served


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def ask(port: int, deadline: float = 60.0) -> dict[str, object]:
    """Return the first answer that a server gives, once it gives one."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/policies/cartpole/act",
        json.dumps(OBSERVATION).encode(),
        {"content-type": "application/json"},
    )
    end = time.monotonic() + deadline
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5) as reply:
                return dict(json.load(reply))
        except OSError:  # not listening yet
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


@contextmanager
def serving(
    host: ContainerHost, image: str, policies: Path, *options: str
) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    port = free_port()
    command = host.command(
        image, "serve", "--port", str(port), "--watch", "/policies",
        volume=policies, options=options,
    )  # fmt: skip
    process = subprocess.Popen(
        command, env=host.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        yield port, process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def test_it_tells_its_version_and_revision(host: ContainerHost, serve: str, tmp_path: Path) -> None:
    done = host.run(serve, "--version", volume=tmp_path)
    assert (done.returncode, done.stdout.split()[0]) == (0, "roboyard"), done.stderr
    labels = host.inspect(serve)["Labels"]
    assert labels["org.opencontainers.image.version"] == done.stdout.split()[1]
    assert re.match("[0-9a-f]{40}", labels["org.opencontainers.image.revision"])


def test_it_answers_ends_at_sigterm_and_is_healthy(
    host: ContainerHost, serve: str, policies: Path
) -> None:
    with serving(host, serve, policies, "--name=answers", "--memory=512m") as (port, process):
        answer = ask(port)
        assert answer["policy"] == "cartpole"
        assert len(answer["actions"]) == 1
        check = host.inspect(serve)["Healthcheck"]["Test"]
        assert check[0] == "CMD"
        probe = [part.replace("8080", str(port)) for part in check[1:]]
        host.podman("exec", "answers", *probe)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def test_it_is_small(host: ContainerHost, serve: str, capsys: pytest.CaptureFixture[str]) -> None:
    layers = host.layers(serve)
    with capsys.disabled():
        print(f"\n{serve}:")
        for size, origin in layers:
            print(f"  {size / 1e6:8.1f} MB  {origin[:90]}")
    assert sum(size for size, _ in layers[1:]) < OWN_LIMIT


def test_it_holds_neither_tools_nor_torch_nor_caches(host: ContainerHost, serve: str) -> None:
    files = host.files(serve)
    names = {
        Path(name).parts[5] for name in files if "/site-packages/" in name and name.count("/") > 5
    }
    assert not names & {"pip", "setuptools", "torch", "pybullet", "jax", "gymnasium", "wheel"}
    assert not [name for name in files if name.endswith(("/pip.conf", ".whl"))]
    settings = json.dumps(host.inspect(serve)["Config"])
    assert not re.search("token|secret|password|index.url", settings, flags=re.I)


def test_its_list_of_materials_is_what_is_installed(host: ContainerHost, serve: str) -> None:
    run = ("run", "--rm", "--no-healthcheck", "--entrypoint=python3", serve, "-c")
    listed = json.loads(host.podman(*run, "print(open('/opt/venv/sbom.cdx.json').read())"))
    script = (
        "from importlib.metadata import distributions as d\n"
        "print(*sorted(f\"{x.metadata['Name'].lower()} {x.version}\" for x in d()), sep='\\n')"
    )
    installed = set(host.podman(*run, script).splitlines())
    parts = [*listed["components"], listed["metadata"]["component"]]
    assert {f"{part['name'].lower()} {part['version']}" for part in parts} == installed


def test_two_builds_of_one_revision_hold_the_same_files(host: ContainerHost, serve: str) -> None:
    again = host.build("serve", "--no-cache", tag="roboyard-again:serve")
    first, second = host.files(serve), host.files(again)
    assert first
    assert {n for n in first.keys() | second.keys() if first.get(n) != second.get(n)} == set()


def test_its_first_answer_comes_about_as_soon_as_onnxruntime_is_imported(
    host: ContainerHost, serve: str, policies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imports, answers = [], []
    for _ in range(5):
        start = time.perf_counter()
        host.podman(
            "run", "--rm", "--no-healthcheck", "--entrypoint=python3", serve,
            "-c", "import onnxruntime",
        )  # fmt: skip
        imports.append(time.perf_counter() - start)
        start = time.perf_counter()
        with serving(host, serve, policies) as (port, _):
            ask(port)
            answers.append(time.perf_counter() - start)
    ratio = statistics.median(answers) / statistics.median(imports)
    with capsys.disabled():
        print(
            f"\nimport onnxruntime {statistics.median(imports):.2f} s, "
            f"first answer {statistics.median(answers):.2f} s: {ratio:.2f} times"
        )
    if os.environ.get("IMAGE_TIMINGS"):  # only on a machine that does nothing else
        assert ratio <= 1.5
