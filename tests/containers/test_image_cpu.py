"""The image that trains, built and run for real."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import pytest
import yaml
from container_host import ContainerHost, writable

pytestmark = [pytest.mark.images, pytest.mark.timeout(3600)]
STEPS = 12_288


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    folder = writable(tmp_path / "volume")
    write(folder, STEPS)
    return folder


def write(folder: Path, steps: int, **more: object) -> None:
    config = {
        "name": "cartpole",
        "seed": 3,
        "env": {"id": "roboyard/SimpleRobot-v0", "num_envs": 4, "workers": 2},
        "agent": {"algorithm": "PPO", "hyperparameters": {"n_steps": 16, "batch_size": 32}},
        "train": {"total_steps": steps},
        "checkpoint": {"every_steps": 1024},
        "evaluation": {"every_steps": 4096, "episodes": 1, "final_episodes": 1},
        "video": {"every_steps": None, "final": False},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(config | more))


def state(folder: Path) -> dict[str, object]:
    file = folder / "runs/cartpole/a/status.json"
    return dict(json.loads(file.read_text())) if file.exists() else {"step": 0}


def weights(folder: Path) -> bytes:
    with zipfile.ZipFile(folder / "runs/cartpole/a/policy/last.zip") as bundle:
        return bundle.read("policy.safetensors")


def test_64_steps_are_trained_by_workers(host: ContainerHost, cpu: str, volume: Path) -> None:
    write(volume, 64)
    done = host.run(cpu, "train", "run.yaml", "--run-id=a", volume=volume)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Finished after 64 steps" in done.stdout
    assert (volume / "runs/cartpole/a").stat().st_uid == 23456
    assert state(volume)["updated"].endswith("+00:00"), "clock in UTC"


def test_sigterm_saves_and_a_second_container_continues_exactly(
    host: ContainerHost, cpu: str, volume: Path, tmp_path: Path
) -> None:
    other = writable(tmp_path / "other")
    write(other, STEPS)
    whole = host.run(cpu, "train", "run.yaml", "--run-id=a", volume=other)
    assert whole.returncode == 0, whole.stderr
    command = host.command(cpu, "train", "run.yaml", "--run-id=a", volume=volume)
    process = subprocess.Popen(
        command, env=host.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    saved = volume / "runs/cartpole/a/checkpoints"
    while process.poll() is None and not list(saved.glob("0*")):
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 75, said
    assert 0 < state(volume)["step"] < STEPS
    done = host.run(cpu, "train", "run.yaml", "--run-id=a", "--resume", volume=volume)
    assert done.returncode == 0, done.stdout + done.stderr
    assert weights(volume) == weights(other)


def test_memory_that_is_too_small_is_a_line_and_not_a_kill(
    host: ContainerHost, cpu: str, volume: Path
) -> None:
    done = host.run(cpu, "train", "run.yaml", volume=volume, options=("--memory=256m",))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "this process may use 256 MiB" in done.stderr
    assert not (volume / "runs").exists()


def test_a_replay_buffer_beyond_the_limit_is_refused_before_it_is_filled(
    host: ContainerHost, cpu: str, volume: Path
) -> None:
    agent = {"algorithm": "SAC", "hyperparameters": {"buffer_size": 50_000_000}}
    write(volume, 1000, agent=agent)
    done = host.run(cpu, "train", "run.yaml", volume=volume, options=("--memory=1g",))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "agent.hyperparameters.buffer_size 50,000,000" in done.stderr


def test_cores_are_those_that_the_container_may_use(
    host: ContainerHost, cpu: str, volume: Path
) -> None:
    done = host.run(cpu, "doctor", volume=volume, options=("--cpus=1", "--memory=1g"))
    assert "1 cores and 1.0 GiB of memory usable" in " ".join(done.stdout.split()), done.stdout


def test_other_programs_of_the_image_start(host: ContainerHost, cpu: str, volume: Path) -> None:
    option = ("--entrypoint=tensorboard",)
    done = host.run(cpu, "--version", volume=volume, options=option)
    assert done.returncode == 0, done.stderr
    packaged = host.run(cpu, "list", "environments", volume=volume)
    assert "roboyard/SimpleRobot-v0" in packaged.stdout


def test_its_layers_are_told(
    host: ContainerHost, cpu: str, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = host.layers(cpu)
    script = "du -sm /opt/venv/lib/python3.11/site-packages/* | sort -rn | head -25"
    largest = host.podman("run", "--rm", "--entrypoint=/bin/sh", cpu, "-c", script)
    with capsys.disabled():
        print(f"\n{cpu}:")
        for size, origin in layers:
            print(f"  {size / 1e6:8.1f} MB  {origin[:90]}")
        print(largest)
    assert layers[-2][0] < 20e6, "a new revision uploads little"
