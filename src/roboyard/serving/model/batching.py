"""Requests that arrive together go through the network together.

A lone request never waits: it is run as soon as the event loop has read what has arrived.
While the network is busy requests queue, and the next run takes them all. So batches grow with
the load by themselves; ``max_wait_s`` can hold the first request of an idle network back.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import NamedTuple

from roboyard.policies.runtime.policy import ObservationError, RuntimePolicy
from roboyard.serving.http.errors import HTTPError
from roboyard.serving.model.messages import Answer, Query
from roboyard.serving.model.stacking import join, split

_INLINE_S = 1e-3  # Handing work to a thread costs about 0.1 ms; not worth it below this.


class _Waiting(NamedTuple):
    query: Query
    future: asyncio.Future[Answer]


Observer = Callable[[int, float], None]


class Batcher:
    """Runs one policy; belongs to one event loop."""

    def __init__(
        self,
        policy: RuntimePolicy,
        pool: Executor,
        *,
        max_rows: int = 64,
        max_wait_s: float = 0.0,
        max_queued_rows: int = 8192,
        observer: Observer = lambda rows, seconds: None,
    ) -> None:
        """Create a batcher.

        Args:
            policy: What to run.
            pool: Where to run it when it is slow.
            max_rows: Most observations in one run; a single request may hold more.
            max_wait_s: How long the first request may wait for others [s].
            max_queued_rows: Observations that may wait.
            observer: Called with rows and seconds of each run.
        """
        self._policy = policy
        self._pool = pool
        self._max_rows = max_rows
        self._max_wait_s = max_wait_s
        self._max_queued_rows = max_queued_rows
        self._observer = observer
        self._waiting: deque[_Waiting] = deque()
        self._queued_rows = 0
        self._is_busy = False
        self._timer: asyncio.Handle | None = None
        self._is_delayed = False
        self.seconds_per_run = _INLINE_S
        """Smoothed time that a run keeps a core busy [s]. Not the time on the clock: after a wait
        for the core, small networks would go to the thread, where they wait for longer."""

    @property
    def queued_rows(self) -> int:
        """Observations that wait."""
        return self._queued_rows

    async def run(self, query: Query) -> Answer:
        """Return the policy's answer.

        Raises:
            HTTPError: Too many observations wait already.
            PolicyError: The policy failed.
        """
        if self._queued_rows and self._queued_rows + query.rows > self._max_queued_rows:
            raise HTTPError(
                429,
                "overloaded",
                f"{self._queued_rows} observations wait for this policy already; "
                "try again later, or start another server.",
                retry_after_s=1,
            )
        loop = asyncio.get_running_loop()
        waiting = _Waiting(query, loop.create_future())
        self._waiting.append(waiting)
        self._queued_rows += query.rows
        self._schedule(loop)
        return await waiting.future

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._is_busy or not self._waiting:
            return
        may_wait = self._max_wait_s > 0 and self._queued_rows < self._max_rows
        if self._timer is not None:
            if may_wait or not self._is_delayed:
                return
            self._timer.cancel()
        self._is_delayed = may_wait
        if may_wait:
            self._timer = loop.call_later(self._max_wait_s, self._flush, loop)
        else:
            self._timer = loop.call_soon(self._flush, loop)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        group = self._take()
        if not group:
            return
        is_small = sum(waiting.query.rows for waiting in group) <= self._max_rows
        if is_small and self.seconds_per_run < _INLINE_S:
            self._finish(loop, group, self._run(group))
            return
        self._is_busy = True
        running = loop.run_in_executor(self._pool, self._run, group)
        running.add_done_callback(lambda done: self._finish(loop, group, done.result()))

    def _take(self) -> list[_Waiting]:
        """Return the oldest requests, as many as may share a run."""
        group: list[_Waiting] = []
        rows = 0
        while self._waiting:
            head = self._waiting[0]
            if group and rows + head.query.rows > self._max_rows:
                break
            self._waiting.popleft()
            self._queued_rows -= head.query.rows
            if not head.future.cancelled():
                group.append(head)
                rows += head.query.rows
        return group

    def _run(self, group: list[_Waiting]) -> list[Answer | Exception]:
        """Run a group; one bad request must not harm the others."""
        start, worked = time.perf_counter(), time.thread_time()
        try:
            answers = act(self._policy, [waiting.query for waiting in group])
        except Exception as error:
            if len(group) == 1:
                return [error]
            if isinstance(error, ObservationError):
                return self._run_good(group)
            return [self._run([one])[0] for one in group]
        seconds = time.perf_counter() - start
        self.seconds_per_run += 0.1 * (time.thread_time() - worked - self.seconds_per_run)
        self._observer(sum(waiting.query.rows for waiting in group), seconds)
        return list(answers)

    def _run_good(self, group: list[_Waiting]) -> list[Answer | Exception]:
        """Sort out the requests whose values are wrong, and run the others together."""
        faults = [self._fault_of(waiting.query) for waiting in group]
        good = [waiting for waiting, fault in zip(group, faults, strict=True) if fault is None]
        answers = iter(self._run(good) if good else [])
        return [next(answers) if fault is None else fault for fault in faults]

    def _fault_of(self, query: Query) -> ObservationError | None:
        try:
            self._policy.validate(query.observation)
        except ObservationError as error:
            return error
        return None

    def _finish(
        self,
        loop: asyncio.AbstractEventLoop,
        group: list[_Waiting],
        answers: list[Answer | Exception],
    ) -> None:
        self._is_busy = False
        for (_, future), answer in zip(group, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        self._schedule(loop)


def act(policy: RuntimePolicy, queries: list[Query]) -> list[Answer]:
    """Run requests as one batch.

    Raises:
        PolicyError: The policy failed.
    """
    joined = queries[0] if len(queries) == 1 else join(queries)
    result = policy.act(
        joined.observation,
        state=joined.state,
        episode_start=joined.episode_start,
        seed=joined.seeds,
    )
    if len(queries) == 1:
        return [Answer(result.actions, result.state)]
    return split(result.actions, result.state, [query.rows for query in queries])
