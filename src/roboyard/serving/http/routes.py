"""The routes on which policies act, on bare ASGI.

FastAPI describes these routes, but its layers take longer than a small network; so they are
recognised and served here.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from roboyard.serving.http import codec
from roboyard.serving.http.bodies import Body
from roboyard.serving.http.errors import HTTPError
from roboyard.serving.http.requests import prepare, reply_to, run
from roboyard.serving.http.state import ServerState
from roboyard.serving.http.websocket import serve_session

_ACT = re.compile(r"/v1/policies/([^/]+)/act")
_SESSION = re.compile(r"/v1/policies/([^/]+)/session")


class _Content(NamedTuple):
    body: bytes
    kind: str


class ActRoutes:
    """``POST /v1/policies/{name}/act``, ``POST /invocations``, and sessions; else ``app``."""

    def __init__(self, app: ASGIApp, state: ServerState) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or session."""
        if scope["type"] == "websocket":
            await self._serve_session(scope, receive, send)
            return
        match = None
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
        elif match := _ACT.fullmatch(scope["path"]):
            await _send(await self._act(scope, receive, "act", match[1]), send)
        elif scope["path"] == "/invocations":
            name = _target(scope["roboyard.headers"]) or self._state.catalog.only()
            await _send(await self._act(scope, receive, "invocations", name), send)
        else:
            await self._app(scope, receive, send)

    async def _serve_session(self, scope: Scope, receive: Receive, send: Send) -> None:
        match = _SESSION.fullmatch(scope["path"])
        if match is None:
            raise HTTPError(404, "http", "sessions are at /v1/policies/NAME/session.")
        scope["path_params"] = {"name": match[1]}
        await serve_session(WebSocket(scope, receive, send), self._state)

    async def _act(self, scope: Scope, receive: Receive, route: str, name: str) -> _Content:
        facts = scope["roboyard"]
        facts.route = route
        headers: dict[bytes, bytes] = scope["roboyard.headers"]
        is_binary = _is_binary(headers.get(b"content-type"))
        settings = self._state.settings
        incoming = Body(headers, settings, self._state.budget)
        with incoming.held():
            body = await incoming.read(receive)
            return await self._answer(scope, name, body, is_binary=is_binary)

    async def _answer(
        self, scope: Scope, name: str, body: bytes | bytearray, *, is_binary: bool
    ) -> _Content:
        facts = scope["roboyard"]
        settings = self._state.settings
        key = scope["roboyard.headers"].get(b"x-roboyard-session")
        version = self._state.catalog.choose(
            name, _version(scope["query_string"]), None if key is None else key.decode("latin-1")
        )
        facts.policy, facts.version = version.name, version.digest
        message = await self._state.reader.read(
            body, is_binary=is_binary, limit=version.most_numbers(settings.max_rows)
        )
        prepared = prepare(message, version, settings.max_rows)
        reply = reply_to(message, prepared, await run(prepared.query, version), version)
        if is_binary:
            return _Content(codec.encode_binary(reply), codec.BINARY)
        return _Content(codec.encode_json(reply), codec.JSON)


async def _send(content: _Content, send: Send) -> None:
    headers = [
        (b"content-type", content.kind.encode()),
        (b"content-length", str(len(content.body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content.body})


def _is_binary(content_type: bytes | None) -> bool:
    if content_type is None:
        return False
    kind = content_type.partition(b";")[0].strip().lower().decode("latin-1")
    if kind not in (codec.JSON, codec.BINARY):
        raise HTTPError(
            415,
            "type",
            f"content type '{kind[:100]}' is not known. Allowed: {codec.JSON}, {codec.BINARY}.",
        )
    return kind == codec.BINARY


def _version(query: bytes) -> str | None:
    """Return the value of ``?version=``."""
    if not query:
        return None
    try:
        values = parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        return None
    return values.get("version", [None])[0]


def _target(headers: dict[bytes, bytes]) -> str | None:
    """Return the policy that SageMaker's headers name: ``policy=NAME``, or a target model."""
    attributes = headers.get(b"x-amzn-sagemaker-custom-attributes", b"").decode("latin-1")
    for part in attributes.split(","):
        key, _, value = part.partition("=")
        if key.strip() == "policy":
            return value.strip()
    model = headers.get(b"x-amzn-sagemaker-target-model", b"").decode("latin-1")
    return model.removesuffix(".zip") or None
