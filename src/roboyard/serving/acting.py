"""The routes on which policies act."""

from __future__ import annotations

import asyncio
import logging

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from roboyard.errors import PolicyError
from roboyard.serving import wire
from roboyard.serving.catalog import Version
from roboyard.serving.refusal import Refusal
from roboyard.serving.requests import prepare, reply_to
from roboyard.serving.state import Facts, ServerState

SESSION_HEADER = "x-roboyard-session"
_TARGET_HEADERS = ("x-amzn-sagemaker-custom-attributes", "x-amzn-sagemaker-target-model")
_LOG = logging.getLogger("roboyard.serving")


class ActRoutes:
    """``POST /v1/policies/{name}/act`` and SageMaker's ``POST /invocations``."""

    def __init__(self, state: ServerState) -> None:
        self._state = state

    async def act(self, request: Request) -> Response:
        """Answer with the actions of the policy that the path names."""
        request.scope["roboyard"].route = "act"
        return await self._answer(request, request.path_params["name"])

    async def invocations(self, request: Request) -> Response:
        """Answer with the actions of the policy that a header names, or of the only one."""
        request.scope["roboyard"].route = "invocations"
        return await self._answer(request, _target(request) or self._state.catalog.only())

    async def _answer(self, request: Request, name: str) -> Response:
        is_binary = _is_binary(request.headers.get("content-type"))
        settings = self._state.settings
        body = await read_body(request, settings.max_request_bytes, settings.body_timeout_s)
        version = self._state.catalog.choose(
            name, request.query_params.get("version"), request.headers.get(SESSION_HEADER)
        )
        note(request.scope["roboyard"], version)
        message = wire.decode_binary(body) if is_binary else wire.decode_json(body)
        reply = await answer(message, version, settings.max_rows)
        if is_binary:
            return Response(wire.encode_binary(reply), media_type=wire.BINARY)
        return Response(wire.encode_json(reply), media_type=wire.JSON)


async def answer(message: wire.Message, version: Version, max_rows: int) -> wire.Reply:
    """Put a message through the policy.

    Raises:
        Refusal: The message does not fit, or the policy failed.
    """
    prepared = prepare(message, version, max_rows)
    try:
        found = await version.batcher.run(prepared.query)
    except PolicyError as error:
        _LOG.error("policy failed", extra={"policy": version.name, "reason": str(error)})
        raise Refusal(500, "policy", f"the policy failed: {error}") from error
    return reply_to(message, prepared, found, version)


def note(facts: Facts, version: Version) -> None:
    """Tell the gate which version answers."""
    facts.policy = version.name
    facts.version = version.digest


async def read_body(request: Request, max_bytes: int, timeout_s: float) -> bytes:
    """Return the request's body.

    Raises:
        Refusal: It is too long, or takes too long to arrive.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:19]) > max_bytes:
        raise _too_long(max_bytes)
    chunks: list[bytes] = []
    total = 0
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                total += len(chunk)
                if total > max_bytes:
                    raise _too_long(max_bytes)
                chunks.append(chunk)
    except TimeoutError:
        raise Refusal(408, "timeout", f"the body took more than {timeout_s:g} s.") from None
    except ClientDisconnect:
        raise Refusal(400, "disconnected", "the client went away.") from None
    return b"".join(chunks)


def _too_long(max_bytes: int) -> Refusal:
    return Refusal(413, "size", f"the body is longer than {max_bytes} bytes.")


def _is_binary(content_type: str | None) -> bool:
    kind = (content_type or wire.JSON).partition(";")[0].strip().lower()
    if kind not in (wire.JSON, wire.BINARY):
        raise Refusal(
            415, "type", f"content type '{kind[:100]}' is not known. Allowed: {wire.JSON}, "
            f"{wire.BINARY}."
        )  # fmt: skip
    return kind == wire.BINARY


def _target(request: Request) -> str | None:
    """Return the policy that SageMaker's headers name: ``policy=NAME``, or a target model."""
    attributes, model = (request.headers.get(header, "") for header in _TARGET_HEADERS)
    for part in attributes.split(","):
        key, _, value = part.partition("=")
        if key.strip() == "policy":
            return value.strip()
    return model.removesuffix(".zip") or None
