"""The web application: routes, error answers and the OpenAPI description."""

from __future__ import annotations

from importlib import resources

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from pydantic import JsonValue
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from roboyard import __version__
from roboyard.serving.http.descriptions import ACT_ANSWERS, ACT_BODY, errors
from roboyard.serving.http.errors import HTTPError
from roboyard.serving.http.middleware import Middleware
from roboyard.serving.http.routes import ActRoutes
from roboyard.serving.http.schemas import describe_policies
from roboyard.serving.http.state import ServerState
from roboyard.serving.model.catalog import entry_to_json

_SECURITY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; " \
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"  # fmt: skip


def create_app(state: ServerState) -> ASGIApp:
    """Return the ASGI application that serves the state's policies."""
    app = FastAPI(
        title="Roboyard policy server",
        version=__version__,
        docs_url=None,  # The ready-made pages load scripts from elsewhere.
        redoc_url=None,
        openapi_url=None,
    )
    _add_error_answers(app)
    _describe_acting(app)
    _add_information(app, state)
    _add_description(app, state)
    _add_health(app, state)
    return Middleware(ActRoutes(app, state), state)


def _add_error_answers(app: FastAPI) -> None:
    @app.exception_handler(HTTPError)
    async def refused(request: Request, error: HTTPError) -> Response:
        del request  # Unused.
        return JSONResponse(error.to_json(), error.status, error.headers())

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        del request  # Unused.
        refusal = HTTPError(error.status_code, "http", str(error.detail))
        return JSONResponse(refusal.to_json(), refusal.status, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        del request  # Unused.
        refusal = HTTPError(422, "malformed", str(error.errors()[0]["msg"]))
        return JSONResponse(refusal.to_json(), refusal.status)


def _describe_acting(app: FastAPI) -> None:
    """Describe the routes that ``ActRoutes`` serves before they come here."""

    async def act(name: str, request: Request, version: str | None = None) -> Response:
        """Return the policy's actions for one observation or a batch."""
        raise NotImplementedError

    async def invocations(request: Request) -> Response:
        """Do the same for Amazon SageMaker, with the only policy or the one a header names."""
        raise NotImplementedError

    responses = {200: ACT_ANSWERS, **errors(400, 401, 403, 404, 408, 413, 415, 421, 422, 429, 500)}
    body = {"requestBody": ACT_BODY}
    for path, endpoint in (("/v1/policies/{name}/act", act), ("/invocations", invocations)):
        app.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            responses=responses,
            response_class=Response,
            openapi_extra=body,
        )


def _add_information(app: FastAPI, state: ServerState) -> None:
    @app.get("/v1/policies", responses=errors(400, 401, 421, 429))
    async def policies(request: Request) -> dict[str, JsonValue]:
        """Return the loaded policies, their versions, shares, inputs and outputs."""
        request.scope["roboyard"].route = "policies"
        return {"policies": state.catalog.to_json()}

    @app.get("/v1/policies/{name}", responses=errors(400, 401, 404, 421, 422, 429))
    async def policy(name: str, request: Request) -> dict[str, JsonValue]:
        """Return one loaded policy."""
        request.scope["roboyard"].route = "policies"
        state.catalog.choose(name)
        return entry_to_json(name, state.catalog.entries[name])

    @app.get("/v1/live", responses=errors(400, 401, 421, 429))
    async def live(request: Request) -> dict[str, JsonValue]:
        """Return rate and latency of each policy over the last ten seconds."""
        request.scope["roboyard"].route = "live"
        seen = {name: state.telemetry.live(name)._asdict() for name in state.catalog.names()}
        return {"policies": dict(seen), "sessions": state.telemetry.sessions}

    @app.get("/metrics", responses=errors(400, 401, 421, 429), response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        """Return metrics in Prometheus' text format."""
        request.scope["roboyard"].route = "metrics"
        state.telemetry.policies = state.catalog.versions
        kind = "text/plain; version=0.0.4; charset=utf-8"
        return Response(state.telemetry.text(), headers={"content-type": kind})

    page = resources.files("roboyard.serving").joinpath("static/index.html").read_text("utf-8")

    @app.get("/", response_class=HTMLResponse)
    async def index(request: Request) -> Response:
        """Return the page for people."""
        request.scope["roboyard"].route = "page"
        return HTMLResponse(page, headers={"content-security-policy": _SECURITY})


def _add_description(app: FastAPI, state: ServerState) -> None:
    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> Response:
        """Return the OpenAPI description, with the inputs of the loaded policies."""
        request.scope["roboyard"].route = "openapi"
        described = describe_policies(app.openapi(), state.catalog, state.settings.max_rows)
        return JSONResponse(described)


def _add_health(app: FastAPI, state: ServerState) -> None:
    def readiness(request: Request, route: str) -> Response:
        request.scope["roboyard"].route = route
        if state.is_ready:
            return JSONResponse({"status": "ready"})
        reason = "the server is going away." if state.is_draining else "no policy is loaded."
        raise HTTPError(503, "not-ready", reason, retry_after_s=1)

    @app.get("/healthz")
    async def healthz(request: Request) -> dict[str, JsonValue]:
        """Say that the process lives."""
        request.scope["roboyard"].route = "healthz"
        return {"status": "alive"}

    @app.get("/readyz", responses=errors(503))
    async def readyz(request: Request) -> Response:
        """Say whether new requests are welcome."""
        return readiness(request, "readyz")

    @app.get("/ping", responses=errors(503))
    async def ping(request: Request) -> Response:
        """Say the same to Amazon SageMaker."""
        return readiness(request, "ping")
