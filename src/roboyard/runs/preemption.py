"""Notices that a machine is about to be taken away, before it is.

Nothing depends on them: a run that gets no notice continues from its last checkpoint. A notice
only saves what was learnt since then.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import http.client
import logging
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Self

from roboyard import json_text
from roboyard.config.schema import PreemptionConfig

_LOG = logging.getLogger(__name__)

ENDPOINT_VARIABLE = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
_ENDPOINT = "http://169.254.169.254"
_TOKEN_LIFE_S = 21_600
_TIMEOUT_S = 2.0
_MANY_FAILURES = 5
_WRITING_S = 0.1
NOTICE = "preemption notice"
"""How the reason of a run starts that stopped because of a notice."""


@dataclasses.dataclass(frozen=True)
class Notice:
    """What is known about what is coming."""

    reason: str
    """Who says what."""
    seconds_left: float | None = None
    """Time until the machine is gone [s]; None where it is not said."""
    only_a_risk: bool = False
    """Whether the machine may stay: reason for an early checkpoint, not for a stop."""


class Source(Protocol):
    """A place where notices appear."""

    def look(self) -> Notice | None:
        """Return the notice that is there now, if any.

        Raises:
            OSError: The place is out of reach.
        """


class FileSource:
    """A file that somebody makes: a Slurm epilogue, a Kubernetes hook, a person."""

    hint = "Is the folder of preemption.file there, and may this process read it?"

    def __init__(self, path: Path, grace_s: float | None = None) -> None:
        """Wait for ``path``.

        Args:
            path: It may hold the number of seconds that are left.
            grace_s: Seconds that are left if it does not.
        """
        self._path = path
        self._grace_s = grace_s

    def __str__(self) -> str:
        return f"the file '{self._path}'"

    def look(self) -> Notice | None:
        """Return a notice if the file is there."""
        try:
            text = self._text()
            if not text:  # perhaps whoever makes it has not written yet
                time.sleep(_WRITING_S)
                text = self._text()
        except FileNotFoundError:
            return None
        seconds = self._grace_s
        with contextlib.suppress(ValueError):
            seconds = float(text)
        return Notice(f"file '{self._path}' appeared", seconds)

    def _text(self) -> str:
        # That it is there is the notice, whatever it holds.
        return self._path.read_text(encoding="utf-8", errors="replace")


class MetadataSource:
    """The EC2 instance metadata service, version 2."""

    hint = "Is this an EC2 instance? Else remove 'imds' from preemption.watch."

    def __init__(self, endpoint: str | None = None) -> None:
        """Ask ``endpoint``; by default the environment's, or the one of every EC2 instance."""
        self._endpoint = (endpoint or os.environ.get(ENDPOINT_VARIABLE) or _ENDPOINT).rstrip("/")
        self._token = ""
        self._token_until = 0.0
        # A proxy must never see these requests: they are for this machine alone.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __str__(self) -> str:
        return f"the instance metadata service at {self._endpoint}"

    def look(self) -> Notice | None:
        """Return the interruption notice, or else the rebalance recommendation."""
        action = self._get("spot/instance-action")
        if action is not None:
            seconds = _seconds_until(str(action.get("time", "")))
            return Notice(f"the instance is to {action.get('action', 'stop')}", seconds)
        advice = self._get("events/recommendations/rebalance")
        if advice is not None:
            return Notice("the instance is at elevated risk of interruption", only_a_risk=True)
        return None

    def read(self, path: str) -> bytes | None:
        """Return what the service says of this instance; None where it has nothing to say.

        Args:
            path: Below ``/latest/meta-data/``.

        Raises:
            OSError: It does not answer, or refuses.
        """
        for attempt in (1, 2):
            if time.monotonic() >= self._token_until:
                self._renew_token()
            header = {"X-aws-ec2-metadata-token": self._token}
            try:
                return self._ask("GET", f"/latest/meta-data/{path}", header)
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    return None
                if error.code != 401 or attempt == 2:
                    raise
                self._token_until = 0.0  # the token has run out on the other side
        return None

    def _get(self, path: str) -> dict[str, object] | None:
        content = self.read(path)
        if content is None:
            return None
        try:
            value = json_text.loads(content.decode())
        except ValueError:
            return {}  # a notice that cannot be read is a notice
        return value if isinstance(value, dict) else None

    def _renew_token(self) -> None:
        header = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_LIFE_S)}
        self._token = self._ask("PUT", "/latest/api/token", header).decode()
        self._token_until = time.monotonic() + _TOKEN_LIFE_S / 2

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> bytes:
        request = urllib.request.Request(self._endpoint + path, method=method, headers=headers)
        with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
            return bytes(answer.read())


class PreemptionWatcher:
    """Looks at sources in a thread of its own; a context manager."""

    def __init__(
        self, sources: list[Source], notify: Callable[[Notice], None], poll_s: float = 5.0
    ) -> None:
        """Prepare; nothing is asked before ``with``.

        Args:
            sources: Where to look; without any, there is no thread.
            notify: Called from the thread: once with a risk, and once with the final notice.
            poll_s: Time between two looks [s].
        """
        self._sources = sources
        self._notify = notify
        self._poll_s = poll_s
        self._warned = False
        self._failures = [0] * len(sources)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="preemption", daemon=True)

    def __enter__(self) -> Self:
        if self._sources:
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_TIMEOUT_S)

    def _run(self) -> None:
        while not self._look():
            if self._stop.wait(self._poll_s):
                return

    def _look(self) -> bool:
        """Look everywhere once; return whether the final notice came.

        Whatever goes wrong in one place, it and the others are looked at again.
        """
        for number, source in enumerate(self._sources):
            try:
                notice = source.look()
                self._failures[number] = 0
                if notice is None or (notice.only_a_risk and self._warned):
                    continue
                self._notify(notice)
            except Exception as error:
                self._failed(number, error)
                continue
            self._warned = True
            if not notice.only_a_risk:
                return True
        return False

    def _failed(self, number: int, error: Exception) -> None:
        """Count a failure in a row; say it once, at once if it is none of a place's own."""
        self._failures[number] += 1
        is_expected = isinstance(error, OSError | http.client.HTTPException)
        if self._failures[number] == (_MANY_FAILURES if is_expected else 1):
            _LOG.warning(
                "preemption notices of %s cannot be looked for (%s: %s); the run goes on, and "
                "they are looked for again every %g s. %s",
                self._sources[number],
                type(error).__name__,
                error,
                self._poll_s,
                getattr(self._sources[number], "hint", ""),
            )


def make_sources(config: PreemptionConfig) -> list[Source]:
    """Return the sources that a config asks for."""
    sources: list[Source] = []
    if "imds" in config.watch:
        sources.append(MetadataSource())
    if config.file is not None:
        sources.append(FileSource(Path(config.file), config.grace_seconds))
    return sources


def _seconds_until(text: str) -> float | None:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return (moment - datetime.datetime.now(datetime.UTC)).total_seconds()
