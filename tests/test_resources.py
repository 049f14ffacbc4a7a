"""Cores and memory as containers and batch systems limit them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from roboyard import resources
from roboyard.errors import ConfigError


def groups(monkeypatch: pytest.MonkeyPatch, root: Path, own: str, files: dict[str, str]) -> None:
    """Lay out control groups below ``root``, and let this process be in those of ``own``."""
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    (root / "own").write_text(own)
    monkeypatch.setattr(resources, "CGROUPS", root)
    monkeypatch.setattr(resources, "_OWN_GROUPS", root / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)


def test_version_2_limits_of_the_own_group_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"job/cpu.max": "250000 100000", "job/memory.max": "1073741824"}
    groups(monkeypatch, tmp_path, "0::/job\n", files)
    assert resources.available_cores() == 2
    assert resources.memory_limit() == 2**30


def test_limits_of_an_enclosing_group_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000", "a/memory.max": "5000000"}
    groups(monkeypatch, tmp_path, "0::/a/b\n", files)
    assert resources.available_cores() == 3
    assert resources.memory_limit() == 5_000_000


def test_version_1_quotas_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "cpu,cpuacct/box/cpu.cfs_quota_us": "150000",
        "cpu,cpuacct/box/cpu.cfs_period_us": "50000",
        "memory/box/memory.limit_in_bytes": "700000000",
        "memory/memory.limit_in_bytes": "9223372036854771712",
    }
    groups(monkeypatch, tmp_path, "4:memory:/box\n3:cpu,cpuacct:/box\n", files)
    assert resources.available_cores() == 3
    assert resources.memory_limit() == 700_000_000


def test_a_container_sees_its_own_group_as_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"memory/memory.limit_in_bytes": "600000000"}
    groups(monkeypatch, tmp_path, "4:memory:/docker/0123\n", files)
    assert resources.memory_limit() == 600_000_000


def test_without_limits_the_machine_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups(monkeypatch, tmp_path, "0::/\n", {"cpu.max": "max 100000", "memory.max": "max"})
    assert resources.available_cores() == 64
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert resources.memory_limit() == total


def test_less_than_one_core_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups(monkeypatch, tmp_path, "0::/\n", {"cpu.max": "20000 100000"})
    assert resources.available_cores() == 1


def test_what_does_not_fit_is_refused_with_both_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups(monkeypatch, tmp_path, "0::/\n", {"memory.max": "1073741824"})
    with pytest.raises(ConfigError, match=r"needs about 2\.0 GiB .* may use 1\.0 GiB\. Less\."):
        resources.require_memory(2 * 2**30, "this", "Less.")


def test_a_real_memory_limit_ends_training_with_a_line_and_not_with_a_kill(tmp_path: Path) -> None:
    group = Path("/sys/fs/cgroup/memory") / f"roboyard-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(200 * 2**20))
    except OSError:
        pytest.skip("no control group of version 1 that this user may make")
    try:
        config = tmp_path / "run.yaml"
        config.write_text("name: x\nenv: {id: roboyard/SimpleRobot-v0}\nagent: {algorithm: PPO}\n")
        command = [sys.executable, "-m", "roboyard", "train", str(config)]
        join = f'echo $$ > {group}/tasks && exec "$@"'
        done = subprocess.run(
            ["sh", "-c", join, "sh", *command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "this process may use 200 MiB" in done.stderr
    finally:
        group.rmdir()
