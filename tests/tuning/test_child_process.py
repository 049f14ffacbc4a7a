"""The keeper: nothing that a child started outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from roboyard.tuning import child_process

# A child with a grandchild in a session of its own, which ignores SIGTERM.
FAMILY = """
import os, signal, subprocess, sys, time
code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True);"
code += "time.sleep(600)"
command = [sys.executable, "-c", code]
grandchild = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE)
grandchild.stdout.readline()
print(os.getpid(), grandchild.pid, flush=True)
{rest}
"""


def start(rest: str, grace_s: float = 5.0) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    process = subprocess.Popen(
        [
            sys.executable,
            "-IS",
            child_process.__file__,
            str(grace_s),
            "-",
            sys.executable,
            "-c",
            FAMILY.format(rest=rest),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]


def end(process: subprocess.Popen[str], family: list[psutil.Process]) -> int:
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]
    code = process.wait(timeout=20)
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()
    return code


def test_what_a_child_left_behind_ends_with_it() -> None:
    process, family = start("sys.exit(75)")
    assert end(process, family) == 75


def test_a_child_that_was_killed_takes_its_family_along() -> None:
    process, family = start("os.kill(os.getpid(), 9)")
    assert end(process, family) == 128 + signal.SIGKILL


def test_when_the_starter_dies_the_child_is_asked_first() -> None:
    process, family = start(
        "signal.signal(15, lambda *_: sys.exit(75)); print('ready', flush=True); time.sleep(600)"
    )
    assert process.stdout is not None and process.stdin is not None
    process.stdout.readline()
    process.stdin.close()  # what the kernel does when the starter is killed
    assert end(process, family) == 75


def test_a_child_that_does_not_stop_is_killed_after_its_time() -> None:
    process, family = start(
        "signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)", 0.3
    )
    assert process.stdout is not None and process.stdin is not None
    process.stdout.readline()
    process.stdin.close()
    assert end(process, family) == 128 + signal.SIGKILL


def test_a_child_does_not_outlive_a_keeper_that_was_killed() -> None:
    process, family = start("time.sleep(600)")
    process.kill()
    family[0].wait(timeout=10)
    family[1].kill()
    end(process, family)


def test_a_child_keeps_to_its_cores(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    out = tmp_path / "cores"
    code = f"import os; open({str(out)!r}, 'w').write(str(os.sched_getaffinity(0)))"
    command = [
        sys.executable,
        "-IS",
        child_process.__file__,
        "1",
        str(core),
        sys.executable,
        "-c",
        code,
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.wait(timeout=60) == 0
    assert out.read_text() == str({core})
