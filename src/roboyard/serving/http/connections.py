"""Connections: how many there may be, who gives way, and how long and large a request may be.

uvicorn's protocol on httptools bounds neither headers nor the time that they take (its option
``h11_max_incomplete_event_size`` is for h11 only), nor the number of connections before it has
read a request. The subclasses here add that and change nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from roboyard.serving.http.addresses import Addresses
from roboyard.serving.http.errors import HTTPError
from roboyard.serving.http.state import ServerState
from roboyard.serving.settings import CONNECTION_RESERVE

HEALTH_PATHS = frozenset({b"/healthz", b"/readyz", b"/ping"})
"""Where load balancers ask; answered to everybody."""
_QUIET = logging.getLogger("roboyard.serving.http")
_QUIET.setLevel(logging.ERROR)  # Strangers must not fill the log; refusals are in the metrics.
_MAX_PIPELINED = 16
_CLOSING_S = 5.0  # For the last answer to be fetched.
_LINGER_S = 1.0  # At the end of a server, for idle connections to ask once more.

_NO_ROOM = HTTPError(429, "connections", "the server has too many connections.", retry_after_s=1)
_LARGE = HTTPError(431, "headers", "the headers are too long or too many.")
_SLOW = HTTPError(408, "timeout", "the request took too long to arrive.")
_MALFORMED = HTTPError(400, "malformed", "this is not an HTTP request.")


class Connections:
    """All open connections of one server.

    When all places are taken, the oldest connection that was not let in yet, by its token and
    rate or at all, gives way to a new one. So a health check finds a place while silent clients
    hold every other one.
    """

    def __init__(self, state: ServerState) -> None:
        self.state = state
        self._total = 0
        self._by_address: Counter[str] = Counter()
        self._waiting: dict[str, dict[HttpProtocol, None]] = {}
        self._oldest: dict[HttpProtocol, None] = {}
        self._unlimited = Addresses(state.settings.trusted_proxies)

    def enter(self, connection: HttpProtocol) -> bool:
        """Give a connection a place; False if there is none, not even in the reserve."""
        settings = self.state.settings
        address = connection.address
        own = self._waiting.setdefault(address, {})
        is_crowd = self._by_address[address] >= settings.max_connections_per_address
        is_full = self._total >= settings.max_connections
        if (is_crowd and address not in self._unlimited) or is_full:
            victim = next(iter(own if is_crowd and not is_full else self._oldest), None)
            if victim is not None:
                victim.give_way()
            else:
                connection.has_place = False
        if self._total >= settings.max_connections + CONNECTION_RESERVE:
            self._forget_address(address)
            return False
        own = self._waiting.setdefault(address, {})
        own[connection] = self._oldest[connection] = None
        self._by_address[address] += 1
        self._total += 1
        return True

    def admit(self, connection: HttpProtocol) -> None:
        """Note that a connection was let in, so it need not give way any more."""
        self._oldest.pop(connection, None)
        self._waiting.get(connection.address, {}).pop(connection, None)

    def leave(self, connection: HttpProtocol) -> None:
        """Take a connection's place back."""
        self.admit(connection)
        self._total -= 1
        self._by_address[connection.address] -= 1
        self._forget_address(connection.address)

    def _forget_address(self, address: str) -> None:
        if self._by_address[address] <= 0:
            del self._by_address[address]
            self._waiting.pop(address, None)


class HttpProtocol(HttpToolsProtocol):
    """One connection that speaks HTTP, until it is upgraded to a WebSocket."""

    def __init__(self, connections: Connections, **parts: Any) -> None:  # noqa: ANN401
        """Create it for uvicorn.

        Args:
            connections: Where it takes its place.
            parts: What uvicorn passes on.
        """
        super().__init__(**parts)
        self.logger = _QUIET
        self._connections = connections
        self._settings = connections.state.settings
        self.budget = connections.state.budget
        self.address = ""
        self.has_place = True
        self._is_counted = False
        self._refusal = _MALFORMED
        self._since = time.monotonic()
        self._phase: str | None = "head"
        self._quiet = 0  # Bytes since the parser saw a whole piece.
        self._pieces = 0
        self._head_bytes = self._head_count = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place, or hang up."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._is_counted = self._connections.enter(self)
        if not self._is_counted:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        super().connection_lost(exc)
        self.release()

    def release(self) -> None:
        """Give the place back; harmless when that was done already."""
        if self._is_counted:
            self._is_counted = False
            self._connections.leave(self)

    def admit(self) -> None:
        """Note that a request was let in."""
        self._connections.admit(self)

    def give_way(self) -> None:
        """Hang up at once."""
        self.release()
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read; refuse what grows without ever becoming a whole header or piece of a body."""
        if self.transport.is_closing():
            return
        if self._phase is None:
            self._begin("head")
        pieces = self._pieces
        super().data_received(data)
        self._quiet = self._quiet + len(data) if self._pieces == pieces else 0
        if self._quiet > self._settings.max_header_bytes and not self.transport.is_closing():
            self._refuse(_LARGE)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._begin("head")
        self._head_bytes = self._head_count = 0
        self.scope["roboyard.connection"] = self  # type: ignore[typeddict-unknown-key]

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer after a body."""
        self._head_count += 1
        self._count_head(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start to answer."""
        self._begin("body")
        if not self.has_place and self.scope_path() not in HEALTH_PATHS:
            self._refusal = _NO_ROOM
            raise ValueError("no place")
        if len(self.pipeline) >= _MAX_PIPELINED:
            raise ValueError("too many requests in advance")
        super().on_headers_complete()
        if self._connections.state.is_draining and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._pieces += 1
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._pieces += 1
        self._phase = None
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, with its place."""
        if not self.has_place:
            self._refuse(_NO_ROOM)
            return
        self._phase = None
        try:
            super().handle_websocket_upgrade()
            session = self.transport.get_protocol()
            is_begun = isinstance(session, WebSocketsSansIOProtocol) and session.handshake_initiated
        except Exception:  # websockets found more to complain about than httptools.
            is_begun = False
        if not is_begun:
            self._refuse(_MALFORMED)

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be read, with what is wrong with it."""
        del msg  # Ours says more.
        self._refuse(self._refusal)

    def shutdown(self) -> None:
        """End after the answer that is under way; an idle client may ask once more before."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            return
        self._unset_keepalive_if_required()
        self.loop.call_later(_LINGER_S, self._end_if_idle)

    def sweep(self, now: float) -> None:
        """Hang up where a client is too slow; called about once a second."""
        waited = now - self._since
        if self.transport.is_closing():
            if self._phase != "closing":
                self._begin("closing")
            elif waited > _CLOSING_S:
                self.transport.abort()
        elif self._phase == "head" and waited > self._settings.header_timeout_s:
            self._refuse(_SLOW)
        elif self._phase == "body" and waited > self._settings.body_timeout_s + _CLOSING_S:
            self._hang_up()  # The application has answered by now.

    def check_body_time(self, seconds: float, transport: asyncio.Transport) -> None:
        """Hang up if a message has been unfinished for too long."""
        if seconds > self._settings.body_timeout_s:
            transport.abort()

    def scope_path(self) -> bytes:
        """Return the address of the request whose headers are being read."""
        return self.url.partition(b"?")[0]

    def _begin(self, phase: str) -> None:
        self._phase = phase
        self._since = time.monotonic()

    def _count_head(self, size: int) -> None:
        self._pieces += 1
        self._head_bytes += size
        if (
            self._head_bytes > self._settings.max_header_bytes
            or self._head_count > self._settings.max_headers
        ):
            self._refusal = _LARGE
            raise ValueError("too large")

    def _refuse(self, refusal: HTTPError) -> None:
        if self.transport.is_closing():
            return
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if not is_answering:
            self._connections.state.telemetry.record("", "", "refused", refusal.status, 0.0)
            self.transport.write(refusal.to_bytes())
        self._hang_up()

    def _hang_up(self) -> None:
        self._begin("closing")
        self.transport.close()

    def _end_if_idle(self) -> None:
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if not is_answering and not self.transport.is_closing():
            self.transport.close()
