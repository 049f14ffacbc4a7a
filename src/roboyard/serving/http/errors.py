"""How the server says no: an HTTP status, a code for programs, and one clear line."""

from __future__ import annotations

import json
from http import HTTPStatus

from pydantic import JsonValue

from roboyard.errors import RoboyardError


class HTTPError(RoboyardError):
    """A request that is answered with an error."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        entry: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        """Create a refusal.

        Args:
            status: HTTP status.
            code: One word for programs, such as ``observation``.
            message: What was given, what is allowed, what to do.
            entry: The entry of the observation that is wrong, if it is one.
            retry_after_s: When trying again makes sense [s].
        """
        super().__init__(message)
        self.status = status
        self.code = code
        self.entry = entry
        self.retry_after_s = retry_after_s

    def to_json(self) -> dict[str, JsonValue]:
        """Return the body of the answer."""
        error: dict[str, JsonValue] = {"code": self.code, "message": str(self)}
        if self.entry is not None:
            error["entry"] = self.entry
        return {"error": error}

    def to_bytes(self) -> bytes:
        """Return a whole HTTP response that closes the connection."""
        body = json.dumps(self.to_json()).encode()
        headers = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "connection": "close",
            **self.headers(),
        }
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join((*lines, "", "")).encode() + body

    def headers(self) -> dict[str, str]:
        """Return the headers that go with it."""
        if self.status == 401:
            return {"www-authenticate": "Bearer"}
        if self.retry_after_s is not None:
            return {"retry-after": f"{max(1, round(self.retry_after_s))}"}
        return {}
