"""Reading a server's answer within a time and a size, whatever the server does."""

from __future__ import annotations

import http.client
import io
import socket
import time

MAX_ANSWER_BYTES = 64 * 2**20
"""Longest answer that a client reads [bytes]."""


class DeadlineSocket:
    """A connected socket for ``http.client``, all of whose reads end by one deadline.

    A socket's own timeout starts anew with each byte, so a server that sends one now and then
    would hold its client for ever.
    """

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._readers = 0
        self._is_closed = False
        self.deadline = time.monotonic()

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return a file to read an answer from."""
        del mode  # http.client reads bytes.
        self._readers += 1
        return io.BufferedReader(_Reader(self))

    def recv_into(self, buffer: memoryview) -> int:
        """Read what is there.

        Raises:
            TimeoutError: The deadline has passed.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._line.settimeout(left)
        return self._line.recv_into(buffer)

    def sendall(self, data: bytes) -> None:
        """Send everything; the socket's own timeout holds for all of it."""
        self._line.settimeout(max(1e-3, self.deadline - time.monotonic()))
        self._line.sendall(data)

    def close(self) -> None:
        """Hang up, once the last answer is read."""
        self._is_closed = True
        if not self._readers:
            self._line.close()

    def release(self) -> None:
        """Note that an answer is read."""
        self._readers -= 1
        if self._is_closed:
            self.close()


class _Reader(io.RawIOBase):
    def __init__(self, source: DeadlineSocket) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._source.release()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._source.recv_into(buffer)


def read_all(response: http.client.HTTPResponse) -> bytes:
    """Return an answer's body.

    Raises:
        OSError: It is too long.
    """
    content = response.read(MAX_ANSWER_BYTES + 1)
    if len(content) > MAX_ANSWER_BYTES:
        raise OSError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    return content
