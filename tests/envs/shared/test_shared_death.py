"""However a worker or the parent ends, the other side ends in order and nothing is left."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from vector_zoo import FaultyEnv, ZooEnv

from roboyard.envs.vector.shared_memory import WorkerPool
from roboyard.errors import ConfigError, TrainingError

ACTIONS = np.zeros((4, 2), np.float32)
SECONDS = 10.0


def shared_memory():
    """Return its segments; semaphores, of which ours have none, may be another test's."""
    return sorted(name for name in os.listdir("/dev/shm") if not name.startswith("sem."))


def leftovers():
    children = [child.pid for child in psutil.Process().children(recursive=True)]
    return children, len(os.listdir("/proc/self/fd")), shared_memory()


@contextmanager
def nothing_left():
    """Check that the block ends soon and leaves no process, descriptor or memory."""
    import cloudpickle  # noqa: F401  # its import is not what is measured

    before, start = leftovers(), time.monotonic()
    yield
    assert time.monotonic() - start < SECONDS
    assert leftovers() == before


def run(env):
    """Make four environments, the third of which is the given one, and step them."""
    pool = WorkerPool([ZooEnv, ZooEnv, env, ZooEnv], workers=2)
    try:
        pool.reset([0, 1, 2, 3], [None] * 4)
        for _ in range(5):
            pool.step_async(ACTIONS)
            pool.step_wait()
    finally:
        pool.close()


@pytest.mark.parametrize("where", ["constructor", "reset", "step"])
@pytest.mark.parametrize(
    ("fault", "texts"),
    [
        ("raise", ["environment 2 failed in", "ValueError: the gears are stuck", "self.fail()"]),
        ("SIGKILL", ["worker process 1 was killed by SIGKILL", "environment 2", "memory"]),
    ],
)
def test_an_error_says_where_and_why(fault, where, texts):
    with nothing_left(), pytest.raises(TrainingError) as caught:
        run(partial(FaultyEnv, fault, where))
    for text in [*texts, where]:
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "texts"),
    [
        ("memory", ["MemoryError"]),
        ("address_space", ["MemoryError", "Unable to allocate 2.00 GiB", "environment 2"]),
        ("exit", ["ended with exit code 3", "environment 2"]),
        ("system_exit", ["SystemExit: enough"]),
        ("SIGALRM", ["killed by SIGALRM", "environment 2"]),
        ("segv", ["killed by SIGSEGV", "native code", "environment 2", "in fail"]),
        ("orphan", ["killed by SIGKILL"]),
    ],
)
def test_a_worker_that_dies_ends_the_call_with_its_reason(fault, texts):
    with pytest.raises(TrainingError) as caught:
        start = time.monotonic()
        run(partial(FaultyEnv, fault))
    assert time.monotonic() - start < SECONDS
    for text in texts:
        assert text in str(caught.value)


@pytest.mark.parametrize("where", ["constructor", "step"])
def test_errors_of_roboyard_keep_their_type_and_text(where):
    with nothing_left(), pytest.raises(ConfigError, match=r"^no such robot 'qudruped'") as caught:
        run(partial(FaultyEnv, "config", where))
    assert "vector_zoo.py" in str(caught.value.__cause__)


def test_death_of_one_worker_is_noticed_while_another_takes_its_time():
    with nothing_left():
        pool = WorkerPool([partial(FaultyEnv, "hang"), ZooEnv], workers=2)
        pool.reset([0, 1], [None] * 2)
        for _ in range(2):
            pool.step_async(ACTIONS[:2])
            pool.step_wait()
        pool.step_async(ACTIONS[:2])
        os.kill(pool.pids[1], signal.SIGKILL)
        with pytest.raises(TrainingError, match="worker process 1 was killed by SIGKILL"):
            pool.step_wait()
        assert pool.closed
        with pytest.raises(TrainingError, match="closed"):
            pool.step_async(ACTIONS[:2])
        pool.close()


def test_a_worker_killed_between_steps_ends_the_next_call():
    with nothing_left():
        pool = WorkerPool([ZooEnv] * 2, workers=2)
        pool.reset([0, 1], [None] * 2)
        os.kill(pool.pids[0], signal.SIGKILL)
        with pytest.raises(TrainingError, match="SIGKILL"):
            pool.step_async(ACTIONS[:2])
            pool.step_wait()


@pytest.mark.slow
def test_pools_leave_nothing_behind_over_many_lives():
    with WorkerPoolClosing(ZooEnv):
        pass
    before = leftovers()
    for life in range(30):
        if life % 10 == 9:
            with pytest.raises(TrainingError):
                WorkerPool([partial(FaultyEnv, "exit", "constructor")], workers=1)
        elif life % 10 == 8:
            WorkerPool([ZooEnv], workers=1)  # forgotten
        else:
            with WorkerPoolClosing(ZooEnv) as pool:
                pool.reset([0], [None])
        assert leftovers() == before


@contextmanager
def WorkerPoolClosing(env):  # noqa: N802
    pool = WorkerPool([env], workers=1)
    yield pool
    pool.close()
    pool.close()


PARENT = """
import sys, signal, threading
from functools import partial
import numpy as np
sys.path.insert(0, {folder!r})
from vector_zoo import FaultyEnv, ZooEnv
from roboyard.envs.vector.shared_memory import WorkerPool
def work():
    global pool
    pool = WorkerPool([ZooEnv, partial(FaultyEnv, "hang")], workers=2)
if {thread}:
    thread = threading.Thread(target=work); thread.start(); thread.join()
else:
    work()
pool.reset([0, 1], [None, None])
actions = np.zeros((2, 2), np.float32)
for _ in range(2):
    pool.step_async(actions); pool.step_wait()
if {busy}:
    pool.step_async(actions)
print(*pool.pids, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(("busy", "thread"), [(False, False), (True, False), (True, True)])
def test_workers_die_with_a_parent_that_is_killed(busy, thread):
    segments = shared_memory()
    folder = str(Path(__file__).parent)
    script = PARENT.format(folder=folder, busy=busy, thread=thread)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        # PyBullet greets on standard output, too.
        lines = iter(parent.stdout.readline, b"")
        pids = next(line.split() for line in lines if line.replace(b" ", b"").strip().isdigit())
        handles = [os.pidfd_open(int(pid)) for pid in pids]
        parent.kill()
        parent.wait()
        for handle in handles:
            assert select.select([handle], [], [], 5.0)[0], "a worker outlived its parent"
            os.close(handle)
    assert shared_memory() == segments


def test_ctrl_c_reaches_the_parent_alone_and_the_pool_still_works():
    pool = WorkerPool([ZooEnv] * 2, workers=2)
    pool.reset([0, 1], [None] * 2)
    pool.step_async(ACTIONS[:2])
    for pid in pool.pids:
        os.kill(pid, signal.SIGINT)
    # As after a KeyboardInterrupt in step_wait: the next call takes the answers out of the way.
    assert pool.call("get_attr()", [0, 1], "lifetime") == [1, 1]
    pool.step_async(ACTIONS[:2])
    pool.step_wait()
    assert pool.call("get_attr()", [0, 1], "lifetime") == [2, 2]
    pool.close()


def test_an_interrupt_while_waiting_leaves_the_pool_usable_and_closing_short():
    pool = WorkerPool([partial(FaultyEnv, "doze"), ZooEnv], workers=2)
    pool.reset([0, 1], [None] * 2)
    for _ in range(2):
        pool.step_async(ACTIONS[:2])
        pool.step_wait()
    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        pool.step_async(ACTIONS[:2])
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            pool.step_wait()
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert pool.call("get_attr()", [0, 1], "lifetime") == [3, 3]
    pool.close()


def interrupt(number, frame):
    raise KeyboardInterrupt
