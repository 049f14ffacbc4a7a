"""An S3 server on this machine that fails on command.

It is moto's server behind a layer that answers errors, cuts connections or dawdles, over
real HTTP. Needs ``pip install 'moto[s3,server]'``.

Example::

    with FaultyS3(bucket="runs") as server:
        server.fail(Fault(method="PUT", status=503, code="SlowDown"), times=2)
        store = S3Store("runs", "demo", S3Options(endpoint_url=server.url))
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import os
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable
from typing import Any, Self

from roboyard.optional import require

_App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
_BODY = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>"


@dataclasses.dataclass(frozen=True)
class Fault:
    """What goes wrong with a request.

    The default is an answer of 500 InternalError instead of doing what was asked.
    """

    method: str = "*"
    """HTTP method, or ``*``."""
    match: str = ""
    """Regular expression, searched in path and query, such as ``partNumber=2``."""
    status: int = 500
    """HTTP status of the answer."""
    code: str = "InternalError"
    """S3's error code in the answer."""
    cut: bool = False
    """Cut the connection in the middle of the request's body (or the answer's, for a GET)."""
    done: bool = False
    """Do what was asked first, and only then fail: the answer gets lost."""

    delay_s: float = 0.0
    """Wait so long before the answer [s]: with a client that is less patient, a timeout."""

    def fits(self, method: str, target: str) -> bool:
        """Return whether the fault is about this request."""
        return self.method in ("*", method) and re.search(self.match, target) is not None


@dataclasses.dataclass
class _Planned:
    fault: Fault
    times: int
    after: int


class FaultyS3:
    """An S3 server with one bucket; a context manager.

    Writes are done one at a time, because moto checks a write's condition and then writes
    without holding a lock.
    """

    def __init__(self, bucket: str = "roboyard-test") -> None:
        """Describe the server.

        Args:
            bucket: Made at the start.
        """
        self.bucket = bucket
        self.requests: list[str] = []
        """Method and target of every request, in order of arrival."""
        self._faults: list[_Planned] = []
        self._lock = threading.Lock()
        self._writes = threading.Lock()
        server = require("moto.server", "dev")
        self._app: _App = server.DomainDispatcherApplication(server.create_backend_app)
        serving = require("werkzeug.serving", "dev")
        self._server = serving.make_server("127.0.0.1", 0, self._serve, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """The endpoint's address."""
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that point boto3, here or in a subprocess, at this server and nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }

    def __enter__(self) -> Self:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._thread.start()
        self.reset()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reset(self) -> None:
        """Forget every object, fault and request, and make the bucket anew."""
        self._faults.clear()
        self._ask("POST", "/moto-api/reset")
        self._ask("PUT", f"/{self.bucket}")
        self.requests.clear()

    def fail(self, fault: Fault, times: int = 1, *, after: int = 0) -> None:
        """Let the next fitting requests fail.

        Args:
            fault: What goes wrong.
            times: How many requests.
            after: How many fitting requests succeed before.
        """
        with self._lock:
            self._faults.append(_Planned(fault, times, after))

    def heal(self) -> None:
        """Forget the faults that have not happened yet."""
        with self._lock:
            self._faults.clear()

    def count(self, pattern: str) -> int:
        """Return how many requests fit a regular expression, such as ``^PUT .*partNumber``."""
        return sum(re.search(pattern, request) is not None for request in self.requests)

    def damage(self, key: str) -> None:
        """Flip one bit of an object's content behind S3's back."""
        backends = require("moto.backends", "dev")
        for account in backends.get_backend("s3").values():
            for backend in account.values():
                if self.bucket in backend.buckets:
                    item = backend.buckets[self.bucket].keys[key]
                    value = bytearray(item.value)
                    value[len(value) // 2] ^= 1
                    item.value = bytes(value)

    def _ask(self, method: str, target: str) -> None:
        request = urllib.request.Request(self.url + target, method=method)
        with urllib.request.urlopen(request) as answer:
            answer.read()

    def _serve(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        target = environ["PATH_INFO"] + "?" + environ.get("QUERY_STRING", "")
        self.requests.append(f"{method} {target}")
        fault = self._next_fault(method, target)
        if fault is None:
            return self._forward(environ, start)
        if fault.cut and not fault.done:
            return self._cut(environ, start)
        if fault.done:
            self._forward(environ, lambda *_: None)
            if fault.cut:
                raise self._hang_up(environ)
        else:
            _drain(environ)
        time.sleep(fault.delay_s)
        body = _BODY.format(code=fault.code).encode()
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
        start(f"{fault.status} injected", headers)
        return [] if method == "HEAD" else [body]

    def _next_fault(self, method: str, target: str) -> Fault | None:
        with self._lock:
            for planned in self._faults:
                if not planned.fault.fits(method, target):
                    continue
                if planned.after:
                    planned.after -= 1
                elif planned.times:
                    planned.times -= 1
                    return planned.fault
        return None

    def _forward(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("CONTENT_LENGTH"):
            # Before the lock: a client that is frozen while it sends must not hold up the others.
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            environ["wsgi.input"] = io.BytesIO(body)
        reads = environ["REQUEST_METHOD"] in ("GET", "HEAD")
        with contextlib.nullcontext() if reads else self._writes:
            return list(self._app(environ, start))

    def _cut(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if environ["REQUEST_METHOD"] != "GET":
            environ["wsgi.input"].read(length // 2)
            raise self._hang_up(environ)
        body = b"".join(self._forward(environ, start))
        yield body[: len(body) // 2]
        raise self._hang_up(environ)

    def _hang_up(self, environ: dict[str, Any]) -> ConnectionError:
        with contextlib.suppress(OSError):
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return ConnectionAbortedError("injected")


def _drain(environ: dict[str, Any]) -> None:
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
