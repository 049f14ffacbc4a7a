"""A client for the policy server; needs neither FastAPI nor onnxruntime."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import quote, urlsplit
from weakref import WeakSet

import numpy as np
from pydantic import JsonValue

from roboyard.errors import BridgeError, ConfigError
from roboyard.policies.runtime.observation_check import Observation
from roboyard.serving.clients.answers import Actions, State, error_of, pack_request, unpack_reply
from roboyard.serving.clients.stream import DeadlineSocket, read_all
from roboyard.serving.http.codec import BINARY

if TYPE_CHECKING:
    from roboyard.serving.clients.websocket_client import Session

_TRY_AGAIN = (408, 429, 502, 503, 504)
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 2.0


class _Answer(NamedTuple):
    status: int
    body: bytes
    retry_after_s: float | None


class _Line(http.client.HTTPConnection):
    """A connection that sends header and body in one piece, which saves the server a wake-up."""

    _held: list[bytes] | None = None

    def __del__(self) -> None:
        """Hang up when the thread whose line this is has ended."""
        self.close()

    def connect(self) -> None:
        """Connect; what is read then ends by a deadline."""
        super().connect()
        self.sock: Any = DeadlineSocket(self.sock)

    def allow(self, seconds: float) -> None:
        """Set how long connecting, sending and reading may take from now [s]."""
        self.timeout = seconds
        if self.sock is None:
            self.connect()
        self.sock.deadline = time.monotonic() + seconds

    def send(self, data: object) -> None:
        """Send, or keep back while a request is put together."""
        if self._held is not None and isinstance(data, bytes):
            self._held.append(data)
        else:
            super().send(data)  # type: ignore[arg-type]

    def request_at_once(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> None:
        """Send a request in one piece."""
        self._held = []
        try:
            self.request(method, path, body, headers)
        finally:
            held, self._held = self._held, None
        self.send(b"".join(held))


class _SecureLine(_Line, http.client.HTTPSConnection):
    """The same over TLS."""


class Client:
    """Asks a policy server for actions; may be used by several threads.

    Acting changes nothing on the server, so a request whose connection broke is sent again.

    Example::

        with Client("http://127.0.0.1:8080") as client:
            action = client.act("cartpole", observation).actions
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = 5.0,
        retries: int = 3,
    ) -> None:
        """Create a client; nothing is contacted yet.

        Args:
            url: Address of the server, such as ``http://127.0.0.1:8080``.
            token: Bearer token, if the server asks for one.
            timeout_s: Time for one request, with all tries [s].
            retries: How often to try again when the server is out of reach or busy.

        Raises:
            ConfigError: The address is wrong.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"server '{url}' is not an address such as http://127.0.0.1:8080.")
        self.url = url.rstrip("/")
        self.token = token
        self._timeout_s = timeout_s
        self._retries = retries
        self._local = threading.local()
        self._connections: WeakSet[_Line] = WeakSet()

    def act(
        self,
        policy: str,
        observation: Observation,
        *,
        state: State | None = None,
        episode_start: bool | np.ndarray | None = None,
        seed: int | None = None,
        version: str | None = None,
        session: str | None = None,
    ) -> Actions:
        """Return the policy's actions.

        Args:
            policy: Its name.
            observation: One observation or a batch, not normalised.
            state: What the last reply held, of a recurrent policy; see ``session`` for loops.
            episode_start: Whether an episode begins, or for each observation of a batch.
            seed: Sample the actions instead of taking the likeliest.
            version: Ask a certain version.
            session: Requests with the same text get the same version while the split stays.

        Raises:
            ObservationError: The observation does not fit; the message names the entry.
            PolicyError: There is no such policy.
            BridgeError: The server cannot be reached in time.
        """
        body = pack_request(observation, state=state, episode_start=episode_start, seed=seed)
        path = f"/v1/policies/{quote(policy, safe='')}/act"
        if version is not None:
            path += f"?version={quote(version, safe='')}"
        headers = {"content-type": BINARY}
        if session is not None:
            headers["x-roboyard-session"] = session
        return unpack_reply(self._request("POST", path, body, headers))

    def policies(self) -> list[dict[str, JsonValue]]:
        """Return the loaded policies with their inputs and outputs.

        Raises:
            BridgeError: The server cannot be reached in time.
        """
        try:
            listed: list[dict[str, JsonValue]] = json.loads(self._request("GET", "/v1/policies"))[
                "policies"
            ]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BridgeError(f"the answer of {self.url} cannot be read ({error!r}).") from error
        return listed

    def is_ready(self) -> bool:
        """Return whether the server answers and welcomes requests; never raises."""
        try:
            return self._once("GET", "/readyz", None, {}, self._timeout_s).status == 200
        except (OSError, ValueError, http.client.HTTPException):
            self._connection(self._timeout_s).close()
            return False

    def open_session(self, policy: str, *, version: str | None = None) -> Session:
        """Open a WebSocket session, the fastest way to run a control loop.

        Raises:
            BridgeError: The server cannot be reached.
            PolicyError: There is no such policy.
            MissingDependencyError: The extra ``serve`` is not installed.
        """
        from roboyard.serving.clients.websocket_client import Session

        return Session(
            self.url, policy, version=version, token=self.token, timeout_s=self._timeout_s
        )

    def close(self) -> None:
        """Close the connections of all threads; the client can be used again."""
        for connection in list(self._connections):
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] = {},  # noqa: B006
    ) -> bytes:
        """Return the body of a good answer; try again while that may help."""
        deadline = time.monotonic() + self._timeout_s
        reason = "no time was left"
        for attempt in range(self._retries + 1):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            pause = min(_FIRST_PAUSE_S * 2**attempt, _LONGEST_PAUSE_S) * random.uniform(0.5, 1.0)
            try:
                answer = self._once(method, path, body, headers, left)
            except (OSError, ValueError, http.client.HTTPException) as error:
                reason = str(error) or type(error).__name__
                self._connection(left).close()
            else:
                if answer.status == 200:
                    return answer.body
                refusal = error_of(answer.status, answer.body, f"{self.url}{path}")
                if answer.status not in _TRY_AGAIN:
                    raise refusal
                reason = str(refusal)
                pause = max(pause, answer.retry_after_s or 0.0)
            if attempt < self._retries and time.monotonic() + pause < deadline:
                time.sleep(pause)
        raise BridgeError(f"policy server {self.url} did not answer in time: {reason}")

    def _once(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], timeout_s: float
    ) -> _Answer:
        connection = self._connection(timeout_s)
        connection.allow(timeout_s)
        sent = {**headers, "authorization": f"Bearer {self.token}"} if self.token else headers
        connection.request_at_once(method, path, body, sent)
        response = connection.getresponse()
        content = read_all(response)
        if not response.isclosed():
            response.close()
        retry_after = response.headers.get("retry-after", "")
        seconds = float(retry_after) if retry_after.isdecimal() else None
        return _Answer(response.status, content, seconds)

    def _connection(self, timeout_s: float) -> _Line:
        connection: _Line | None = getattr(self._local, "connection", None)
        if connection is None:
            parts = urlsplit(self.url)
            is_secure = parts.scheme == "https"
            kind = _SecureLine if is_secure else _Line
            connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
            self._local.connection = connection
            self._connections.add(connection)
        return connection
