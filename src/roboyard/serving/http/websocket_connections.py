"""Connections that have become WebSockets: their places, their turns, and messages without end.

A read may bring 256 KB at once, which are 40,000 frames if they are small; to take them apart would
keep everybody else waiting for a third of a second. So each connection is read for about a
millisecond at a time, in turn with the others, and not at all while a message of its waits.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from roboyard.serving.http.connections import HttpProtocol
from roboyard.serving.http.errors import HTTPError

_MAX_FRAGMENTS = 4096  # Of one message; empty ones cost memory, too.
_SLICE_BYTES = 1024  # At most 170 frames.
_TURN_S = 1e-3
_MAX_PINGS = 20  # Between two sweeps, so in about a second.
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
        self._pings = 0
        self._unread = bytearray()
        self._has_turn = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over from the HTTP connection, whose place it keeps."""
        before = transport.get_protocol()
        self._origin = before if isinstance(before, HttpProtocol) else None
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        super().connection_lost(exc)
        self._unread.clear()
        self._hold(0)
        if self._origin is not None:
            self._origin.release()

    async def run_asgi(self) -> None:
        """Serve the session."""
        self.scope["roboyard.connection"] = self._origin  # type: ignore[typeddict-unknown-key]
        await super().run_asgi()

    async def receive(self) -> ASGIReceiveEvent:
        """Return the next event; what was read behind a message has its turn after it."""
        event: ASGIReceiveEvent = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self._go_on()
        return event

    def data_received(self, data: bytes) -> None:
        """Read, a little at a time."""
        is_small = len(data) <= _SLICE_BYTES or not self.handshake_initiated
        if is_small and not self._unread:
            self._read(data)
            return
        self._unread += data
        if not self._has_turn:
            self._take_turn()

    def _take_turn(self) -> None:
        self._has_turn = False
        end = time.monotonic() + _TURN_S
        while self._unread and not self.read_paused and time.monotonic() < end:
            data = bytes(self._unread[:_SLICE_BYTES])
            del self._unread[:_SLICE_BYTES]
            self._read(data)
            if self.disconnected or self.transport.is_closing():
                self._unread.clear()
                return
        self._go_on()

    def _go_on(self) -> None:
        """Take another turn where something is left, else read on; not while a message waits."""
        if self.disconnected or self.transport.is_closing() or self.read_paused or self._has_turn:
            return
        if self._unread:
            self._has_turn = True
            self.transport.pause_reading()
            self.loop.call_soon(self._take_turn)
        else:
            self.transport.resume_reading()

    def _read(self, data: bytes) -> None:
        """Read a slice; note since when a message is unfinished."""
        self._has_finished = False
        super().data_received(data)
        if self._has_finished and not self.frames:
            self._unfinished_since = None
        elif self._unfinished_since is None:
            self._unfinished_since = time.monotonic()
        if not self.disconnected and not self.close_sent:
            pieces = len(self.conn.reader.buffer) + sum(map(len, self.frames))
            try:
                self._hold(pieces + len(self._unread))
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
        if self.close_sent:
            return
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
        """Answer a ping, unless there are many, or nobody fetches the answers."""
        self._has_finished = True
        if self.close_sent:
            return
        self._pings += 1
        if self._pings > _MAX_PINGS or not self.writable.is_set():
            self.conn.fail(1008, "too many pings")
            self.handle_parser_exception()
            return
        super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Take the answer to a ping."""
        self._has_finished = True
        super().handle_pong(event)

    def sweep(self, now: float) -> None:
        """Hang up where a client is too slow; called about once a second."""
        self._pings = 0
        if self.close_sent or self.transport.is_closing():
            self._closing_since = self._closing_since or now
            if now - self._closing_since > _CLOSING_S:
                self.transport.abort()
            return
        since = self._unfinished_since
        if since is not None and self._origin is not None:
            self._origin.check_body_time(now - since, self.transport)
