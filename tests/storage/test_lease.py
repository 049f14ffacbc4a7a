"""Of any number of processes one drives a run, and a dead one's run is taken over."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from roboyard.errors import StorageError
from roboyard.storage.base import Store
from roboyard.storage.leases.holder import Holder
from roboyard.storage.leases.lease import Lease, LeaseHeldError, LeaseLostError
from roboyard.storage.leases.record import LeaseRecord, observe
from roboyard.storage.local import LocalStore
from roboyard.testing.faulty_s3 import Fault, FaultyS3

KEY = "ant/r1/lease.json"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return LocalStore(tmp_path)


@pytest.fixture(params=["local", "s3"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return LocalStore(tmp_path)
    make: Callable[[], Store] = request.getfixturevalue("make_s3_store")
    return make()


def elsewhere(store: Store, epoch: int = 4, ttl_s: float = 60.0) -> None:
    """Write a lease held on another machine."""
    holder = Holder("far-away", 7, "other-boot/pid:[1]", "99")
    store.put(KEY, LeaseRecord(epoch, "trial 3", holder, ttl_s, "n").to_bytes())


def test_the_second_one_is_told_who_drives(any_store: Store) -> None:
    with Lease.acquire(any_store, KEY, "first") as lease:
        assert lease.epoch == 1
        with pytest.raises(LeaseHeldError, match=r"ant/r1' is being driven by process \d+ on '.*"):
            Lease.acquire(any_store, KEY, "second")
        lease.check()


def test_the_message_names_host_process_and_age(store: Store) -> None:
    elsewhere(store)
    with pytest.raises(LeaseHeldError) as caught:
        Lease.acquire(store, KEY)
    assert "process 7 on 'far-away' ('trial 3'), whose last sign of life is 0 s old" in str(
        caught.value
    )
    assert "if it is dead, the run is free in 60 s" in str(caught.value)


def test_a_released_lease_is_free_and_its_epoch_grows(any_store: Store) -> None:
    for epoch in (1, 2, 3):
        with Lease.acquire(any_store, KEY) as lease:
            assert lease.epoch == epoch
    assert lease.remaining_s == 0.0
    seen = observe(any_store, KEY)
    assert seen is not None
    assert (seen.record.epoch, seen.record.released, seen.is_free) == (3, True, True)


def test_of_many_rivals_one_wins(any_store: Store) -> None:
    def attempt(_: int) -> Lease | None:
        try:
            return Lease.acquire(any_store, KEY)
        except LeaseHeldError:
            return None

    with ThreadPoolExecutor(6) as pool:
        winners = [lease for lease in pool.map(attempt, range(6)) if lease]
    assert len(winners) == 1
    winners[0].renew()


def test_a_stale_lease_is_taken_over_and_its_old_holder_is_fenced(store: Store) -> None:
    old = Lease.acquire(store, KEY, ttl_s=0.2)
    new = Lease.acquire(store, KEY, wait_s=5.0)
    assert new.epoch == old.epoch + 1
    with pytest.raises(LeaseLostError, match=r"ran out: it could not be renewed for 0\.2 s"):
        old.check()
    with pytest.raises(LeaseLostError, match=r"\(epoch 1\) was taken over by .* \(epoch 2\)"):
        old.renew()
    with pytest.raises(LeaseLostError, match="taken over"):
        old.check()
    old.release()
    new.renew()


def test_a_stale_lease_on_s3_is_taken_over_by_its_clock_or_by_watching(make_s3_store) -> None:
    store = make_s3_store()
    elsewhere(store, ttl_s=0.3)
    started = time.monotonic()
    assert Lease.acquire(store, KEY, wait_s=10.0).epoch == 5
    assert 0.3 <= time.monotonic() - started < 5.0


def test_without_a_renewal_the_holder_gives_up_before_anyone_may_take_over(store: Store) -> None:
    lease = Lease.acquire(store, KEY, ttl_s=0.2)
    while (seen := observe(store, KEY)) and not seen.is_free:
        pass
    assert lease.remaining_s == 0.0


def test_renewing_keeps_it(store: Store) -> None:
    with Lease.acquire(store, KEY, ttl_s=0.3) as lease:
        lease.keep_alive()
        with pytest.raises(LeaseHeldError):
            Lease.acquire(store, KEY, wait_s=0.9)
        lease.check()


def test_a_killed_process_is_succeeded_at_once(store: Store) -> None:
    script = (
        "import os, signal, sys\n"
        "from roboyard.storage import open_store\n"
        "from roboyard.storage.leases.lease import Lease\n"
        "Lease.acquire(open_store(sys.argv[1]), sys.argv[2], ttl_s=3600)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, store.uri, KEY], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert Lease.acquire(store, KEY).epoch == 2


def test_two_processes_cannot_drive_the_same_run(store: Store) -> None:
    script = (
        "import sys\n"
        "from roboyard.storage import open_store\n"
        "from roboyard.storage.leases.lease import Lease\n"
        "Lease.acquire(open_store(sys.argv[1]), sys.argv[2])\n"
    )
    with Lease.acquire(store, KEY):
        other = subprocess.run(
            [sys.executable, "-c", script, store.uri, KEY], capture_output=True, check=False
        )
    assert b"LeaseHeldError" in other.stderr


def test_a_process_of_another_namespace_is_never_declared_dead() -> None:
    here = Holder.this_process()
    assert not here.is_dead()
    assert dataclasses.replace(here, started="0").is_dead()
    assert not dataclasses.replace(here, started="0", realm="x").is_dead()
    assert not Holder("h", 1).is_dead()


def test_a_store_that_fails_for_a_while_does_not_cost_the_lease(
    make_s3_store, s3: FaultyS3
) -> None:
    lease = Lease.acquire(make_s3_store(), KEY)
    s3.fail(Fault(method="PUT", status=503, code="SlowDown"), times=4)
    with pytest.raises(StorageError, match="SlowDown"):
        lease.renew()
    lease.check()
    s3.fail(Fault(method="PUT", done=True, cut=True))  # renewed, but the answer got lost
    lease.renew()
    lease.renew()


def test_a_damaged_or_newer_lease_is_not_guessed_at(store: Store) -> None:
    store.put(KEY, b"{half")
    with pytest.raises(StorageError, match=r"cannot be read.*then delete it"):
        Lease.acquire(store, KEY)
    store.put(KEY, json.dumps({"format_version": 2}).encode())
    with pytest.raises(StorageError, match="has format version 2, this version"):
        Lease.acquire(store, KEY)


def test_an_unexpected_error_does_not_end_the_renewals(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd:
        """A store that fails once in a way that nobody thought of."""

        failures = 1

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def put(self, *args: object, **kwargs: object) -> object:
            if threading.current_thread().name == "lease" and self.failures:
                self.failures -= 1
                raise RuntimeError("odd")
            return store.put(*args, **kwargs)

    odd = Odd()
    with Lease.acquire(odd, KEY, ttl_s=0.9) as lease:
        before = lease._version
        lease.keep_alive()
        end = time.monotonic() + 10
        while lease._version == before and time.monotonic() < end:
            time.sleep(0.01)
        assert lease._version != before
        assert odd.failures == 0
    assert "RuntimeError: odd" in caplog.text
