"""The way around the web framework for requests to act.

FastAPI describes these routes, but its layers take longer than a small network; so they are
recognised and served here.
"""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from roboyard.serving.acting import ActRoutes
from roboyard.serving.refusal import Refusal
from roboyard.serving.sessions import serve_session
from roboyard.serving.state import ServerState

_ACT = re.compile(r"/v1/policies/([^/]+)/act")
_SESSION = re.compile(r"/v1/policies/([^/]+)/session")


class ShortCut:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, routes: ActRoutes, state: ServerState) -> None:
        self._app = app
        self._routes = routes
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or session."""
        if scope["type"] == "websocket":
            match = _SESSION.fullmatch(scope["path"])
            if match is None:
                raise Refusal(404, "http", "sessions are at /v1/policies/NAME/session.")
            scope["path_params"] = {"name": match[1]}
            await serve_session(WebSocket(scope, receive, send), self._state)
            return
        if scope["type"] == "http" and scope["method"] == "POST":
            handler = None
            if match := _ACT.fullmatch(scope["path"]):
                scope["path_params"] = {"name": match[1]}
                handler = self._routes.act
            elif scope["path"] == "/invocations":
                handler = self._routes.invocations
            if handler is not None:
                response = await handler(Request(scope, receive, send))
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)
