"""Request bodies: how long they may be, how slowly they may come, and how much is held at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from starlette.types import Receive

from roboyard.serving.http.errors import HTTPError
from roboyard.serving.settings import Settings

LARGE_BYTES = 32 * 1024
"""Longer JSON is not parsed on the event loop; reading so much takes it about a millisecond."""


class Budget:
    """Bytes of large or unfinished requests that are held at once, whoever sends them."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, size: int) -> None:
        """Hold more bytes, or fewer where ``size`` is negative.

        Raises:
            HTTPError: Too many are held already.
        """
        if size > self._left:
            raise HTTPError(
                429,
                "overloaded",
                "too many large requests are under way; try again, or send smaller ones.",
                retry_after_s=1,
            )
        self._left -= size


class Body:
    """A request's body while it arrives and until it is answered."""

    def __init__(self, headers: dict[bytes, bytes], settings: Settings, budget: Budget) -> None:
        """Create it; nothing is read yet.

        Args:
            headers: The request's headers.
            settings: How long it may be and take.
            budget: Where it is counted while it is unfinished or large.
        """
        length = headers.get(b"content-length", b"")
        self._announced = int(length[:19]) if length.isdigit() else 0
        self._settings = settings
        self._budget = budget
        self._held = 0

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Count the body until the block ends."""
        try:
            yield
        finally:
            self._budget.take(-self._held)

    async def read(self, receive: Receive) -> bytes | bytearray:
        """Return the body.

        Raises:
            HTTPError: It is too long, takes too long to arrive, or too much is held already.
        """
        self._check_size(self._announced)
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                data, has_more = await self._piece(receive)
                if not has_more and len(data) <= LARGE_BYTES:
                    return data
                body = bytearray(data)
                self._hold(max(len(body), self._announced))
                while has_more:
                    self._hold(len(body))
                    data, has_more = await self._piece(receive)
                    body += data
                    self._check_size(len(body))
        except TimeoutError:
            raise HTTPError(
                408, "timeout", f"the body took more than {self._settings.body_timeout_s:g} s."
            ) from None
        return body

    async def _piece(self, receive: Receive) -> tuple[bytes, bool]:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HTTPError(400, "disconnected", "the client went away.")
        data: bytes = message.get("body", b"")
        self._check_size(len(data))
        return data, bool(message.get("more_body"))

    def _check_size(self, size: int) -> None:
        limit = self._settings.max_request_bytes
        if size > limit:
            raise HTTPError(413, "size", f"the body is longer than {limit} bytes.")

    def _hold(self, size: int) -> None:
        if size > self._held:
            self._budget.take(size - self._held)
            self._held = size
