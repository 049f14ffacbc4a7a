"""The outermost layer: tokens, rates and origins before, counts and log lines after."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roboyard.serving.http.auth import Authenticator, RateLimit
from roboyard.serving.http.errors import HTTPError
from roboyard.serving.http.origins import OriginCheck
from roboyard.serving.http.state import Facts, ServerState

_HEALTH_PATHS = frozenset({"/healthz", "/readyz", "/ping"})
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_LOG = logging.getLogger("roboyard.serving")


class Middleware:
    """ASGI middleware; plain, since the ready-made kinds cost more than a small network."""

    def __init__(self, app: ASGIApp, state: ServerState) -> None:
        self._app = app
        self._state = state
        self._doorkeeper = Authenticator(state.settings.tokens)
        self._rate = RateLimit(state.settings.rate_limit)
        self._origins = OriginCheck(state.settings.allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, session, or the server's life."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = time.perf_counter()
        headers = scope["roboyard.headers"] = dict(scope["headers"])
        facts = scope["roboyard"] = Facts()
        request_id = _request_id(headers)
        status = 500

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id))
            await send(message)

        telemetry = self._state.telemetry
        telemetry.in_flight += 1
        try:
            self._admit(scope, headers, scope["method"])
            await self._app(scope, receive, send_noting)
        except HTTPError as refusal:
            await _answer(refusal, send_noting)
        except Exception:
            _LOG.exception("request failed", extra={"path": scope["path"]})
            await _answer(HTTPError(500, "failed", "the server failed; see its log."), send_noting)
        finally:
            telemetry.in_flight -= 1
            seconds = time.perf_counter() - start
            telemetry.record(facts.policy, facts.version, facts.route, status, seconds)
            if self._state.settings.access_log or status >= 500:
                _log_request(scope, facts, status, seconds, request_id)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["roboyard"] = Facts("session")
        scope["roboyard.take"] = lambda: self._rate.take(scope["roboyard.client"])
        try:
            headers = dict(scope["headers"])
            self._admit(scope, headers, None)
            if len(self._state.sessions) >= self._state.settings.max_sessions:
                raise HTTPError(429, "overloaded", "too many sessions are open.", retry_after_s=1)
            await self._app(scope, receive, send)
        except HTTPError as refusal:  # Before the handshake; sessions answer later ones themselves.
            self._state.telemetry.record("", "", "session", refusal.status, 0.0)
            await receive()
            await _answer(refusal, send, "websocket.http.response")

    def _admit(self, scope: Scope, headers: dict[bytes, bytes], method: str | None) -> None:
        """Let a request in; health checks come from anywhere, under any name."""
        if scope["path"] in _HEALTH_PATHS:
            return
        self._origins.check(scope["headers"], method)
        if scope["path"] == "/":
            return
        token = self._doorkeeper.check(headers.get(b"authorization"))
        address = scope["client"][0] if scope.get("client") else ""
        scope["roboyard.client"] = address if token is None else f"token {token}"
        self._rate.take(scope["roboyard.client"])
        connection = scope.get("roboyard.connection")
        if connection is not None:
            connection.admit()


def _request_id(headers: dict[bytes, bytes]) -> bytes:
    given = headers.get(b"x-request-id", b"")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex[:16].encode()


async def _answer(refusal: HTTPError, send: Send, kind: str = "http.response") -> None:
    body = json.dumps(refusal.to_json()).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    if refusal.status == 413:
        headers["connection"] = "close"  # The rest of the body is not read.
    headers.update(refusal.headers())
    listed = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": f"{kind}.start", "status": refusal.status, "headers": listed})
    await send({"type": f"{kind}.body", "body": body})


def _log_request(
    scope: Scope, facts: Facts, status: int, seconds: float, request_id: bytes
) -> None:
    is_cancelled = bool((task := asyncio.current_task()) and task.cancelling())
    _LOG.log(
        logging.ERROR if status >= 500 and not is_cancelled else logging.INFO,
        "request",
        extra={
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "duration_ms": round(seconds * 1e3, 3),
            "policy": facts.policy,
            "version": facts.version,
            "client": scope["client"][0] if scope.get("client") else None,
            "request_id": request_id.decode(),
        },
    )
