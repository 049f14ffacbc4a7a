"""An instance metadata service (IMDSv2) for one rehearsed instance."""

from __future__ import annotations

import datetime
import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class RehearsedMetadata:
    """Answers for one instance on a port of its own; a token is asked for, as by EC2."""

    def __init__(self, instance_id: str) -> None:
        """Prepare; served from ``with`` on."""
        self._instance_id = instance_id
        self._token = secrets.token_hex(16)
        self._notice: str | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        """Serve."""
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def announce(self, seconds: float) -> None:
        """Give notice that the instance will be interrupted in so many seconds."""
        then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
        action = {"action": "terminate", "time": then.strftime("%Y-%m-%dT%H:%M:%SZ")}
        self._notice = json.dumps(action)

    def _content(self, path: str) -> str | None:
        if path == "/latest/meta-data/instance-id":
            return self._instance_id
        return self._notice if path == "/latest/meta-data/spot/instance-action" else None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                found = service._token if self.path == "/latest/api/token" else None
                self._answer(200 if found else 404, found or "")

            def do_GET(self) -> None:
                if self.headers.get("X-aws-ec2-metadata-token") != service._token:
                    self._answer(401, "")
                    return
                found = service._content(self.path)
                self._answer(404 if found is None else 200, found or "")

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

            def _answer(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

        return Handler
