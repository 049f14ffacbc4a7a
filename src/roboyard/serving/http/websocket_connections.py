"""Connections that have become WebSockets: their places, and messages that never end."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from roboyard.serving.http.connections import HttpProtocol
from roboyard.serving.http.errors import HTTPError

_MAX_FRAGMENTS = 4096  # Of one message; empty ones cost memory, too.
_CLOSING_S = 15.0  # More than uvicorn waits for the reply to a close frame.


class SessionProtocol(WebSocketsSansIOProtocol):
    """One connection that speaks WebSocket."""

    def __init__(self, **parts: Any) -> None:  # noqa: ANN401
        """Create it for uvicorn, which passes ``parts`` on."""
        super().__init__(**parts)
        self._origin: HttpProtocol | None = None
        self._unfinished_since: float | None = None
        self._closing_since: float | None = None
        self._has_finished = False
        self._held = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over from the HTTP connection, whose place it keeps."""
        before = transport.get_protocol()
        self._origin = before if isinstance(before, HttpProtocol) else None
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        super().connection_lost(exc)
        self._hold(0)
        if self._origin is not None:
            self._origin.release()

    async def run_asgi(self) -> None:
        """Serve the session."""
        self.scope["roboyard.connection"] = self._origin  # type: ignore[typeddict-unknown-key]
        await super().run_asgi()

    def data_received(self, data: bytes) -> None:
        """Read; note since when a message is unfinished."""
        self._has_finished = False
        super().data_received(data)
        if self._has_finished and not self.frames:
            self._unfinished_since = None
        elif self._unfinished_since is None:
            self._unfinished_since = time.monotonic()
        if not self.disconnected and not self.close_sent:
            try:
                self._hold(len(self.conn.reader.buffer) + sum(map(len, self.frames)))
            except HTTPError as refusal:
                self.conn.fail(1013, str(refusal)[:100])
                self.handle_parser_exception()

    def _hold(self, size: int) -> None:
        """Count what an unfinished message takes."""
        if self._origin is not None and size != self._held:
            self._origin.budget.take(size - self._held)
            self._held = size

    def handle_cont(self, event: Frame) -> None:
        """Take a fragment of a message."""
        if len(self.frames) >= _MAX_FRAGMENTS:
            self.conn.fail(1009, "too many fragments")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Pass a whole message on."""
        self._has_finished = True
        super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        """Answer a ping."""
        self._has_finished = True
        super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Take the answer to a ping."""
        self._has_finished = True
        super().handle_pong(event)

    def sweep(self, now: float) -> None:
        """Hang up where a client is too slow; called about once a second."""
        if self.close_sent or self.transport.is_closing():
            self._closing_since = self._closing_since or now
            if now - self._closing_since > _CLOSING_S:
                self.transport.abort()
            return
        since = self._unfinished_since
        if since is not None and self._origin is not None:
            self._origin.check_body_time(now - since, self.transport)
