"""What is compiled is kept: a second start compiles nothing, and no folder ends a run."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from roboyard.agents.jax import cache
from roboyard.agents.jax.cache import CompilationCache

CODE = """
import sys, time
import jax
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv
from roboyard.agents import build_agent
from roboyard.testing.agent_configs import small_agent
from roboyard.testing.fake_envs import FakeEnv
compiled = []
jax.monitoring.register_event_listener(lambda event, **_: compiled.append(event))
venv = DummyVecEnv([FakeEnv])
venv.seed(0)
agent = build_agent(small_agent("TD3", backend="jax"), venv, seed=0)
agent.set_logger(Logger(None, []))
agent.learn(12)
agent.get_parameters()
print(compiled.count("/jax/compilation_cache/cache_misses"), end=" ")
print(hash(agent.policy.actor.mu[0].weight.detach().numpy().tobytes()))
"""


def start(folder: Path, **more: str) -> subprocess.Popen[str]:
    environment = os.environ | {"XDG_CACHE_HOME": str(folder), "PYTHONHASHSEED": "0"} | more
    command = [sys.executable, "-W", "error", "-c", CODE]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=250)
    assert process.returncode == 0, err
    misses, weights = out.split()
    return int(misses), weights


def test_only_the_first_start_compiles_and_both_learn_the_same(tmp_path: Path) -> None:
    misses, weights = finish(start(tmp_path))
    assert misses > 0
    assert finish(start(tmp_path)) == (0, weights)
    left = list(tmp_path.rglob("process-*"))
    assert left == []


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "old-cache").write_bytes(b"whole")
    return folder


def test_others_see_only_what_was_published(shared: Path) -> None:
    mine, theirs = CompilationCache(shared), CompilationCache(shared)
    assert (mine.folder / "old-cache").read_bytes() == b"whole"
    (mine.folder / "new-cache").write_bytes(b"in two ")
    assert not (shared / "new-cache").exists()
    with (mine.folder / "new-cache").open("ab") as file:
        file.write(b"parts")
    mine.publish()
    (theirs.folder / "new-cache").write_bytes(b"at the same time")
    theirs.close()
    assert (shared / "new-cache").read_bytes() == b"in two parts"
    mine.close()
    assert sorted(path.name for path in shared.iterdir()) == ["new-cache", "old-cache"]


def test_what_killed_processes_left_goes_after_a_day(shared: Path) -> None:
    dead, living = CompilationCache(shared), CompilationCache(shared)
    then = time.time() - 2 * 86_400
    os.utime(dead.folder, (then, then))
    CompilationCache(shared).close()
    assert not dead.folder.exists()
    assert living.folder.exists()


def test_a_folder_that_cannot_be_used_costs_compilations_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "roboyard").write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cache, "_opened", {})
    monkeypatch.setitem(cache.jax.config.values, "jax_compilation_cache_dir", None)
    cache.enable()
    assert cache._opened == {}


def test_the_folder_is_one_for_each_kind_of_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    here = cache.shared_folder()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(333)))
    assert cache.shared_folder() != here
