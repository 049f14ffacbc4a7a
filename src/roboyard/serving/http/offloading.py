"""Reading requests: small ones at once, large JSON in a process of its own."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

from roboyard.serving.http import codec
from roboyard.serving.http.bodies import LARGE_BYTES
from roboyard.serving.http.errors import HTTPError
from roboyard.serving.http.tensors import load, load_header
from roboyard.serving.task_process import TaskProcess, WorkerError

_MEMORY_BYTES = 2**30
_TIMEOUT_S = 10.0


class Reader:
    """Turns bodies and messages into requests."""

    def __init__(self) -> None:
        self._worker = TaskProcess(_MEMORY_BYTES)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="roboyard-reader")

    async def read(
        self, body: bytes | bytearray | str, *, is_binary: bool, limit: int
    ) -> codec.Message:
        """Return the request; large JSON with more numbers than ``limit`` is refused.

        Raises:
            HTTPError: It cannot be read, or not within time and memory.
        """
        if is_binary:
            assert not isinstance(body, str)
            return codec.decode_binary(body)
        if len(body) <= LARGE_BYTES:
            return codec.decode_json(body)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._read_elsewhere, body, limit)

    def close(self) -> None:
        """End the process."""
        self._worker.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _read_elsewhere(self, body: bytes | bytearray | str, limit: int) -> codec.Message:
        content = body.encode("utf-8", "replace") if isinstance(body, str) else body
        try:
            outcome = self._worker.ask("json", content, _TIMEOUT_S, limit)
        except WorkerError as error:
            raise HTTPError(413, "size", f"the body cannot be read: {error}.") from None
        facts = load_header(outcome).get("__metadata__", {})
        if "refusal" in facts:
            told = json.loads(str(facts["refusal"]))
            raise HTTPError(told["status"], told["code"], told["message"], entry=told["entry"])
        if "rest" not in facts:
            raise HTTPError(413, "size", f"the body cannot be read: {facts.get('error')}.")
        return _join(outcome, json.loads(str(facts["rest"])))


def _join(outcome: bytes, rest: dict[str, object]) -> codec.Message:
    """Put arrays and the rest of a request together again."""
    parts: dict[str, object] = dict(rest["observation"])  # type: ignore[call-overload]
    state: list[object] = []
    for name, array in load(outcome).items():
        kind, _, key = name.partition(".")
        if kind == "observation":
            parts[key] = array
        else:
            state.append(array)
    return codec.Message(
        observation=parts if rest["is_dict"] else parts[""],
        state=state or None,
        episode_start=rest["episode_start"],
        seed=rest["seed"],
        id=rest["id"],  # type: ignore[arg-type]
    )
