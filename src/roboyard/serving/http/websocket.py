"""WebSocket sessions: one connection is one control loop, and the server keeps its memory."""

from __future__ import annotations

import json
import time

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from roboyard.policies.runtime.policy import State
from roboyard.serving.http import codec
from roboyard.serving.http.errors import HTTPError
from roboyard.serving.http.requests import Prepared, prepare, reply_to, run, starts_all
from roboyard.serving.http.state import ServerState
from roboyard.serving.model.catalog import Version

GOING_AWAY = 1001


async def serve_session(websocket: WebSocket, state: ServerState) -> None:
    """Serve one connection to ``/v1/policies/{name}/session`` until either side closes it."""
    session = ServerSession(websocket, state)
    try:
        await session.serve()
    except WebSocketDisconnect:
        pass
    finally:
        state.sessions.discard(session)
        state.telemetry.sessions = len(state.sessions)


class ServerSession:
    """One connection: the version it speaks to, and the memory of its robots."""

    def __init__(self, websocket: WebSocket, state: ServerState) -> None:
        self._websocket = websocket
        self._state = state
        self._name: str = websocket.path_params["name"]
        self._wanted = websocket.query_params.get("version")
        self._version: Version | None = None
        self._memory: State | None = None
        self._is_busy = False

    async def serve(self) -> None:
        """Greet, then answer message after message.

        Raises:
            HTTPError: There is no such policy; the connection was not accepted.
        """
        websocket = self._websocket
        version = self._choose()
        await websocket.accept()
        self._state.sessions.add(self)
        self._state.telemetry.sessions = len(self._state.sessions)
        contract = version.contract
        greeting = {
            "policy": version.name,
            "version": version.digest,
            "is_recurrent": contract.is_recurrent,
            "control_period_s": contract.control_period_s,
        }
        await websocket.send_text(json.dumps(greeting))
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            self._is_busy = True
            await self._turn(message.get("text"), message.get("bytes"))
            self._is_busy = False
            if self._state.is_draining and await self.close_when_idle():
                return

    async def close_when_idle(self) -> bool:
        """Close the connection if no message is under way; a busy one closes itself after it."""
        if self._is_busy or self._websocket.application_state is not WebSocketState.CONNECTED:
            return False
        await self._websocket.close(GOING_AWAY, "the server is going away")
        return True

    async def _turn(self, text: str | None, data: bytes | None) -> None:
        """Answer one message; a bad one is answered with an error and changes nothing."""
        start = time.perf_counter()
        facts = self._websocket.scope["roboyard"]
        status = 200
        message: codec.Message | None = None
        try:
            self._websocket.scope["roboyard.take"]()
            message = await self._state.reader.read(
                text if text is not None else data or b"",
                is_binary=text is None,
                limit=self._limit(),
            )
            reply = await self._answer(message)
            if text is not None:
                await self._websocket.send_text(codec.encode_json(reply).decode())
            else:
                await self._websocket.send_bytes(codec.encode_binary(reply))
        except HTTPError as refusal:
            status = refusal.status
            content = refusal.to_json()
            if message is not None and message.id is not None:
                content["id"] = message.id
            await self._websocket.send_text(json.dumps(content))
        finally:
            seconds = time.perf_counter() - start
            self._state.telemetry.record(facts.policy, facts.version, "session", status, seconds)

    async def _answer(self, message: codec.Message) -> codec.Reply:
        if message.state is not None:
            raise HTTPError(
                422, "state", "a session keeps the state itself; leave 'state' out.", entry="state"
            )
        version = self._version
        if version is None or not version.is_live:
            version = self._renew(message)
        prepared = self._with_memory(prepare(message, version, self._state.settings.max_rows))
        answer = await run(prepared.query, version)
        self._memory = answer.state
        return reply_to(message, prepared, answer._replace(state=None), version)

    def _limit(self) -> int:
        rows = self._state.settings.max_rows
        return self._version.most_numbers(rows) if self._version is not None else rows

    def _choose(self) -> Version:
        key = self._websocket.headers.get("x-roboyard-session")
        self._version = self._state.catalog.choose(self._name, self._wanted, key)
        facts = self._websocket.scope["roboyard"]
        facts.policy, facts.version = self._name, self._version.digest
        return self._version

    def _renew(self, message: codec.Message) -> Version:
        """Move on from a version that was replaced, but never in the middle of an episode."""
        old = self._version
        has_memory = old is not None and self._memory is not None
        if old is not None and has_memory and not starts_all(message.episode_start):
            return old
        try:
            version = self._choose()
        except HTTPError:
            if old is None:
                raise
            self._version = old  # It was taken away; this session may go on with it.
            return old
        self._memory = None
        return version

    def _with_memory(self, prepared: Prepared) -> Prepared:
        """Return the request with the memory of its robots, which a first message starts."""
        query = prepared.query
        if query.state is None or self._memory is None:
            return prepared
        starts = query.episode_start
        if self._memory[0].shape[1] == query.rows:
            return prepared._replace(query=query._replace(state=self._memory))
        if starts is None or not starts.all():
            raise HTTPError(
                422,
                "rows",
                f"the session holds {self._memory[0].shape[1]} robots, but the message "
                f"{query.rows}; start anew with 'episode_start': true.",
                entry="observation",
            )
        return prepared
