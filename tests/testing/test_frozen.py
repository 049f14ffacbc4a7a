"""A process that wakes after another one has taken its run over has to leave, with its own code."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from roboyard.errors import TrainingError
from roboyard.runs.supervisor import Child
from roboyard.storage.leases.lease import EXIT_LOST
from roboyard.testing.chaos.frozen import Frozen


@contextlib.contextmanager
def stopped(code: int):
    """Yield a process that stops itself, and ends with a code once it goes on."""
    with contextlib.ExitStack() as stack:
        child = stack.enter_context(Child(["sh", "-c", f"kill -STOP $$; exit {code}"]))
        os.waitid(os.P_PID, child.process.pid, os.WSTOPPED | os.WNOWAIT)
        yield Frozen(child, stack.pop_all()), child


def test_who_leaves_with_the_code_of_a_lost_lease_is_right() -> None:
    with stopped(EXIT_LOST) as (frozen, _):
        frozen.wake()
        frozen.end(may_have_finished=False)


@pytest.mark.parametrize("code", [0, 1, 75])
def test_who_goes_on_although_another_one_drives_is_found(code: int) -> None:
    with stopped(code) as (frozen, _):
        frozen.wake()
        with pytest.raises(TrainingError, match=f"exit code {code} instead of {EXIT_LOST}"):
            frozen.end(may_have_finished=False)


def test_who_had_finished_before_may_say_so() -> None:
    with stopped(0) as (frozen, _):
        frozen.wake()
        frozen.end(may_have_finished=True)


def test_who_was_never_woken_is_killed() -> None:
    with stopped(0) as (frozen, child):
        frozen.end(may_have_finished=False)
    assert child.process.returncode == -signal.SIGKILL
