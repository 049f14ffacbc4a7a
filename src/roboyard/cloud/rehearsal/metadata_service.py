"""An EC2 metadata service on this machine that announces interruptions on command.

It speaks version 2 only, over real HTTP: a token first, 401 without one, 404 where there is
nothing to tell.

Example::

    with MetadataService() as service:
        service.interrupt(seconds=120)
        ...  # with AWS_EC2_METADATA_SERVICE_ENDPOINT=service.url
"""

from __future__ import annotations

import datetime
import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

_TOKEN = "/latest/api/token"
_DATA = "/latest/meta-data/"


class MetadataService:
    """The service of one instance; a context manager."""

    def __init__(self, instance_id: str = "i-0123456789abcdef0") -> None:
        """Describe an instance that nobody wants back."""
        self.requests: list[str] = []
        """Method and path of every request, in order of arrival."""
        self._data: dict[str, str] = {"instance-id": instance_id}
        self._tokens: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that point a process at this service."""
        return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url}

    def interrupt(self, seconds: float = 120.0, action: str = "terminate") -> None:
        """Announce that the instance goes away in so many seconds."""
        moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
        text = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        self._data["spot/instance-action"] = json.dumps({"action": action, "time": text})

    def recommend_rebalance(self) -> None:
        """Announce that the instance is at elevated risk."""
        text = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._data["events/recommendations/rebalance"] = json.dumps({"noticeTime": text})

    def calm(self) -> None:
        """Take back what was announced, as on a new instance."""
        for path in ("spot/instance-action", "events/recommendations/rebalance"):
            self._data.pop(path, None)

    def expire_tokens(self) -> None:
        """Forget every token that was given out."""
        self._tokens.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, method: str, path: str, token: str | None, ttl: str | None) -> _Answer:
        self.requests.append(f"{method} {path}")
        if method == "PUT" and path == _TOKEN:
            if ttl is None or not ttl.isdecimal():
                return 400, ""
            fresh = secrets.token_hex(16)
            self._tokens.add(fresh)
            return 200, fresh
        if token not in self._tokens:
            return 401, ""
        value = self._data.get(path.removeprefix(_DATA)) if path.startswith(_DATA) else None
        return (404, "") if value is None else (200, value)

    def _handler(service) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - self is the request
        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                code, text = service._answer(
                    self.command,
                    self.path,
                    self.headers.get("X-aws-ec2-metadata-token"),
                    self.headers.get("X-aws-ec2-metadata-token-ttl-seconds"),
                )
                self.send_response(code)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_PUT = _serve  # noqa: N815 - http.server's names

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        return Handler


_Answer = tuple[int, str]
