"""A control loop's line to the server: one WebSocket, one message for each control step.

A blocking socket and the protocol of ``websockets`` without its threads: handing a message to
another thread would take longer than the network that it is for.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, urlsplit

import numpy as np

from roboyard.errors import BridgeError
from roboyard.optional import require
from roboyard.policies.runtime.observation_check import Observation
from roboyard.serving.clients.answers import Actions, error_of, pack_request, unpack_reply

if TYPE_CHECKING:
    from websockets.client import ClientProtocol
    from websockets.frames import Frame

_CHUNK = 65536


class Session:
    """One connection to a policy, whose memory the server keeps; for one thread."""

    def __init__(
        self,
        url: str,
        policy: str,
        *,
        version: str | None = None,
        token: str | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        """Connect.

        Args:
            url: Address of the server, such as ``http://127.0.0.1:8080``.
            policy: Name of the policy.
            version: A certain version.
            token: Bearer token, if the server asks for one.
            timeout_s: Time for one message [s].

        Raises:
            BridgeError: The server cannot be reached.
            PolicyError: There is no such policy.
            MissingDependencyError: The extra ``serve`` is not installed.
        """
        require("websockets", "serve")
        path = f"/v1/policies/{quote(policy, safe='')}/session"
        query = f"?version={quote(version, safe='')}" if version else ""
        self._url = f"{url.rstrip('/')}{path}{query}"
        self._token = token
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._protocol: ClientProtocol
        self._is_recurrent = False
        self._has_memory = False
        self.control_period_s: float | None = None
        """Time between two actions [s], where the policy knows it."""
        self._connect()

    def act(
        self,
        observation: Observation,
        *,
        episode_start: bool | np.ndarray | None = None,
        seed: int | None = None,
    ) -> Actions:
        """Return the policy's actions; connects anew if that loses no memory.

        Args:
            observation: One observation or a batch of as many robots as before.
            episode_start: Whether an episode begins, or for each robot.
            seed: Sample the actions instead of taking the likeliest.

        Raises:
            ObservationError: The observation does not fit; the message names the entry.
            BridgeError: The server is out of reach, or its memory of the episode is lost.
        """
        body = pack_request(observation, episode_start=episode_start, seed=seed)
        is_start = episode_start is not None and bool(np.all(episode_start))
        can_repeat = not self._has_memory or is_start
        for is_last in (not can_repeat, True):
            try:
                if self._socket is None:
                    if not can_repeat:
                        raise ConnectionError("the connection is closed")
                    self._connect()
                self._send(body)
                frame = self._receive()
                break
            except TimeoutError as error:
                self.close()
                raise BridgeError(
                    f"{self._url} did not answer within {self._timeout_s:g} s."
                ) from error
            except OSError as error:
                self.close()
                if is_last:
                    raise BridgeError(self._lost(error)) from error
        if frame.opcode == 1:
            status = 422 if _code_of(bytes(frame.data)) in _FAULTS else 503
            raise error_of(status, bytes(frame.data), self._url)
        self._has_memory = self._is_recurrent
        return unpack_reply(bytes(frame.data))

    def close(self) -> None:
        """Hang up; no error when that was done already."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _lost(self, error: OSError) -> str:
        memory = "; the memory of the episode is lost, begin a new one with episode_start=True"
        return f"{self._url} was lost ({error}){memory if self._has_memory else ''}."

    def _connect(self) -> None:
        from websockets.client import ClientProtocol
        from websockets.uri import parse_uri

        parts = urlsplit(self._url)
        is_secure = parts.scheme == "https"
        address = (parts.hostname or "", parts.port or (443 if is_secure else 80))
        try:
            line = socket.create_connection(address, self._timeout_s)
        except OSError as error:
            raise BridgeError(f"cannot reach {self._url}: {error}.") from error
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if is_secure:
            line = ssl.create_default_context().wrap_socket(line, server_hostname=parts.hostname)
        self._socket = line
        self._protocol = ClientProtocol(parse_uri("ws" + self._url.removeprefix("http")))
        request = self._protocol.connect()
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        self._protocol.send_request(request)
        try:
            self._flush()
            greeting = json.loads(bytes(self._receive().data))
            self._is_recurrent = bool(greeting["is_recurrent"])
            period = greeting["control_period_s"]
            self.control_period_s = None if period is None else float(period)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            self.close()
            raise BridgeError(f"cannot open {self._url}: {error}.") from error
        self._has_memory = False

    def _send(self, body: bytes) -> None:
        self._protocol.send_binary(body)
        self._flush()

    def _flush(self) -> None:
        assert self._socket is not None
        data = b"".join(self._protocol.data_to_send())
        if data:
            self._socket.sendall(data)

    def _receive(self) -> Frame:
        """Return the next text or binary frame.

        Raises:
            OSError: The connection was closed.
            RoboyardError: The server refused the handshake.
        """
        from websockets.frames import Frame
        from websockets.http11 import Response

        deadline = time.monotonic() + self._timeout_s
        while True:
            for event in self._protocol.events_received():
                if isinstance(event, Response) and event.status_code != 101:
                    self.close()
                    raise error_of(event.status_code, bytes(event.body or b""), self._url)
                if isinstance(event, Frame) and event.opcode in (1, 2):
                    return event
            if self._socket is None or self._protocol.close_rcvd is not None:
                raise ConnectionError("the server is going away")
            if self._protocol.parser_exc is not None or self._protocol.handshake_exc is not None:
                raise ConnectionError("the server does not speak WebSocket properly")
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._socket.settimeout(left)
            data = self._socket.recv(_CHUNK)
            if data:
                self._protocol.receive_data(data)
            else:
                self._protocol.receive_eof()
                if not self._protocol.events_received():
                    raise ConnectionError("the server hung up")
            self._flush()


def _code_of(text: bytes) -> str:
    """Return the code of an error; empty where it has another form."""
    try:
        return str(json.loads(text)["error"]["code"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


_FAULTS = frozenset({"observation", "episode_start", "seed", "state", "rows", "malformed"})
