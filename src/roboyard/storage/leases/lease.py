"""One driver per run: a lease object that only one process holds at a time.

The lease is a small JSON object, changed by compare-and-swap alone, so it works on every
store. It is never deleted; taking it over increases its *epoch*, the fencing token.

Time. No two machines' clocks are ever compared. The holder counts its time to live on its own
steady clock, from *before* the renewal was sent. A rival counts either with the store's clock
(how old is the object?) or with its own (for how long have I seen it unchanged?); both start
*after* the renewal arrived. So the holder always gives up first, whatever the clocks show.

What remains is a process that is frozen between looking at its lease and writing. It is
harmless because a run writes checkpoints and results under keys of their own, publishes with
:func:`~roboyard.storage.mirror.publish.publish_once`, and notices at its next renewal that a higher
epoch exists.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import secrets
import threading
import time
from typing import Self

from roboyard.errors import ConfigError, StorageError
from roboyard.storage.base import (
    AlreadyExistsError,
    ConflictError,
    ObjectInfo,
    Store,
    join_key,
)
from roboyard.storage.leases.holder import Holder
from roboyard.storage.leases.record import LEASE_FILE, LeaseRecord, Observed, observe

DEFAULT_TTL_S = 60.0
"""Time without a sign of life after which a lease may be taken over [s]."""

TTL_VARIABLE = "ROBOYARD_LEASE_SECONDS"
"""Environment variable: another time to live, the same for all who may drive a run [s]."""
EXIT_LOST = 77
"""Exit code of a process whose run another one has taken over; it must not be started again."""

_POLLS_PER_TTL = 10
_log = logging.getLogger(__name__)


class LeaseHeldError(StorageError):
    """Another process holds the lease."""


class LeaseLostError(StorageError):
    """The lease ran out, or somebody else has taken it over; stop writing."""

    exit_code = EXIT_LOST


class Lease:
    """A lease that this process holds; a context manager that gives it back.

    Renew it by hand, or leave that to :meth:`keep_alive`.
    """

    def __init__(
        self, store: Store, key: str, record: LeaseRecord, info: ObjectInfo, expires: float
    ) -> None:
        """Use :meth:`acquire` instead.

        Args:
            store: Where the lease object is.
            key: Its key.
            record: What it says.
            info: The version that was written.
            expires: When it runs out, on :func:`steady_clock` [s].
        """
        self._store = store
        self._key = key
        self._record = record
        self._version = info.version
        self._expires = expires
        self._tried = -float("inf")
        self._lost: LeaseLostError | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def acquire(
        cls,
        store: Store,
        key: str,
        owner: str = "",
        ttl_s: float = DEFAULT_TTL_S,
        *,
        wait_s: float = 0.0,
    ) -> Self:
        """Take the lease.

        Args:
            store: Where the lease object is.
            key: Its key, such as ``ant/r1/lease.json``.
            owner: What to call the holder in messages to others.
            ttl_s: Time without a sign of life after which others may take it over [s].
            wait_s: How long to wait for another holder to let go [s].

        Raises:
            LeaseHeldError: Another process holds it; the message says which.
        """
        deadline = steady_clock() + wait_s
        watch = _Watch()
        while True:
            started = steady_clock()
            current = observe(store, key)
            if current is None or current.is_free or watch.has_run_out(current):
                epoch = current.record.epoch + 1 if current else 1
                record = LeaseRecord(epoch, owner, Holder.this_process(), ttl_s, _nonce())
                condition = current.info.version if current else None
                with contextlib.suppress(AlreadyExistsError, ConflictError):  # a rival was faster
                    info = _write(store, key, record, condition)
                    return cls(store, key, record, info, started + ttl_s)
            elif started >= deadline:
                raise _held(store, key, current)
            else:
                time.sleep(min(deadline - started, current.record.ttl_s / _POLLS_PER_TTL, 1.0))

    @property
    def epoch(self) -> int:
        """The fencing token: larger than that of every earlier holder."""
        return self._record.epoch

    @property
    def remaining_s(self) -> float:
        """How long the lease still counts without a renewal [s]; 0 when it is lost."""
        return 0.0 if self._lost else max(0.0, self._expires - steady_clock())

    @property
    def lost(self) -> LeaseLostError | None:
        """The news that somebody else has taken over; None as long as nobody has."""
        return self._lost

    def check(self) -> None:
        """Make sure that the lease still counts; call it before writing.

        Raises:
            LeaseLostError: It does not.
        """
        if self._lost:
            raise self._lost
        if self.remaining_s == 0.0:
            raise LeaseLostError(
                f"the lease '{self._uri}' ran out: it could not be renewed for "
                f"{self._record.ttl_s:g} s. Stop, and continue the run later."
            )

    def ensure(self) -> None:
        """Make sure that the lease counts; if its time is up, by a renewal.

        After a sleep nobody knows yet whether the lease was taken over. A store that did not
        answer since then is not asked again: that is left to the background.

        Raises:
            LeaseLostError: Somebody else has taken over, or it was given back.
            StorageError: The store could not be reached.
        """
        if self._lost:
            raise self._lost
        if self._record.released:
            raise LeaseLostError(f"the lease '{self._uri}' was given back. Nothing was written.")
        if self.remaining_s == 0.0 and self._tried < self._expires:
            self.renew()

    def confirm(self, data: bytes) -> None:
        """Compare what the lease object holds now with what this process wrote.

        Raises:
            LeaseLostError: It is another process's.
        """
        there = LeaseRecord.from_bytes(data, self._uri)
        if (there.epoch, there.holder) != (self._record.epoch, self._record.holder):
            self._lost = self._loss()
            raise self._lost

    def renew(self) -> None:
        """Give a sign of life.

        Raises:
            LeaseLostError: Somebody else has taken over.
            StorageError: The store could not be reached; what is left of the time still counts.
        """
        with self._lock:
            self._update(released=False)

    def release(self) -> None:
        """Give the lease back, so that nobody has to wait for it to run out."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        with self._lock:
            if self._lost or self._record.released:
                return
            try:
                self._update(released=True)
            except LeaseLostError:
                pass
            except StorageError as error:
                _log.warning("the lease runs out by itself, it could not be released: %s", error)
            self._expires = 0.0

    def keep_alive(self) -> None:
        """Renew in the background, three times per time to live, until release or loss."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
            self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def _keep(self) -> None:
        while not self._stop.wait(self._record.ttl_s / 3):
            try:
                self.renew()
            except LeaseLostError as error:
                _log.info("%s", error)  # who writes next says it aloud
                return
            except StorageError as error:
                _log.warning("lease not renewed, %.0f s left: %s", self.remaining_s, error)
            except Exception:  # whatever it is, the run's right depends on the next attempt
                _log.exception("lease not renewed, %.0f s left", self.remaining_s)

    def _update(self, *, released: bool) -> None:
        if self._lost:
            raise self._lost
        started = steady_clock()
        record = dataclasses.replace(self._record, nonce=_nonce(), released=released)
        try:
            info = _write(self._store, self._key, record, self._version)
        except ConflictError as error:
            if observe(self._store, self._key) is None:
                self._restore()
                return
            self._lost = self._loss()
            raise self._lost from error
        except StorageError:
            self._tried = started
            raise
        self._record, self._version = record, info.version
        self._expires = started + record.ttl_s

    def _restore(self) -> None:
        """Write a lease that somebody removed anew, unless it is another's by now."""
        started = steady_clock()
        record = dataclasses.replace(self._record, nonce=_nonce())
        try:
            info = _write(self._store, self._key, record, None)
        except AlreadyExistsError as error:
            self._lost = self._loss()
            raise self._lost from error
        self._record, self._version = record, info.version
        self._expires = started + record.ttl_s
        _log.warning("the lease '%s' was removed by somebody, and written anew.", self._uri)

    @property
    def _uri(self) -> str:
        return join_key(self._store.uri, self._key)

    def _loss(self) -> LeaseLostError:
        current = observe(self._store, self._key)
        taker = f"{current.record.holder} (epoch {current.record.epoch})" if current else "somebody"
        return LeaseLostError(
            f"the lease '{self._uri}' (epoch {self.epoch}) was taken over by {taker}, after this "
            "process gave no sign of life for too long. It drives the run now; this process stops."
        )


class _Watch:
    """Finds out by watching alone that a holder gives no sign of life."""

    def __init__(self) -> None:
        self._version = ""
        self._since = 0.0

    def has_run_out(self, current: Observed) -> bool:
        """Return whether the lease was seen unchanged for its whole time to live."""
        now = steady_clock()
        if current.info.version != self._version:
            self._version, self._since = current.info.version, now
        return now - self._since > current.record.ttl_s


def steady_clock() -> float:
    """Return a time [s] that nobody sets and that goes on while the machine is suspended."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


def ttl_from_environment() -> float:
    """Return the time to live that the environment asks for, by default 60 s.

    Raises:
        ConfigError: It is no positive number.
    """
    text = os.environ.get(TTL_VARIABLE, str(DEFAULT_TTL_S))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < float("inf"):
        raise ConfigError(f"{TTL_VARIABLE}='{text}': give seconds, such as {DEFAULT_TTL_S:g}.")
    return seconds


def _nonce() -> str:
    return secrets.token_hex(8)


def _write(store: Store, key: str, record: LeaseRecord, version: str | None) -> ObjectInfo:
    if version is None:
        return store.put(key, record.to_bytes(), if_absent=True)
    return store.put(key, record.to_bytes(), if_version=version)


def _held(store: Store, key: str, current: Observed) -> LeaseHeldError:
    record, age = current.record, current.info.age_s
    owner = f" ('{record.owner}')" if record.owner else ""
    return LeaseHeldError(
        f"'{join_key(store.uri, key).removesuffix('/' + LEASE_FILE)}' is being driven by "
        f"{record.holder}{owner}, whose last sign of life is {age:.0f} s old. Stop that process "
        f"first; if it is dead, the run is free in {max(0.0, record.ttl_s - age):.0f} s."
    )
