"""Two things at once: independent networks learn on two cores.

Torch lets go of the interpreter in each operation and each backward pass, so two threads that
work on different networks really run side by side. Each operation keeps its one thread, hence
its rounding: results do not depend on the number of lanes.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, TypeVar

from roboyard.agents.fast.denormals import flushed

First = TypeVar("First")
Second = TypeVar("Second")
Given = TypeVar("Given")

LOOKING = 3e-4
"""How long a lane looks for what comes next before it sleeps, in seconds."""

_Job = Callable[[], object]
_Outcome = tuple[object, BaseException | None]


class Lanes:
    """Runs pairs of calls, at the same time if there are two lanes.

    Example:
        >>> Lanes(2).both(lambda: 1, lambda: 2)
        (1, 2)
    """

    def __init__(self, count: int = 1) -> None:
        """Use one lane, or two; more bring nothing."""
        self.count = min(max(count, 1), 2)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[_Outcome] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def both(
        self, first: Callable[[], First], second: Callable[[], Second]
    ) -> tuple[First, Second]:
        """Call both and return both results.

        The calls must not touch the same data, nor draw random numbers. What they raise is
        raised here, the first call's error first.
        """
        if self.count == 1:
            return first(), second()
        self._start()
        self._jobs.put(second)
        try:
            one = first()
        finally:
            other, error = _take(self._outcomes)
        if error is not None:
            raise error
        return one, other  # type: ignore[return-value]

    def wake(self) -> None:
        """Get ready for a call of :meth:`both` or :meth:`meet` that comes soon.

        A thread that has slept takes a tenth of a millisecond to come back; one that looks for
        work slows this one down by as much, so call it no sooner than a tenth before.
        """
        if self.count > 1:
            self._start()
            self._jobs.put(_nothing)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="lane", daemon=True)
            self._thread.start()

    def meet(
        self, first: Generator[Given, Given, First], second: Generator[Given, Given, Second]
    ) -> tuple[First, Second]:
        """Run two generators that meet at each ``yield``, where each gets what the other gives.

        Both must meet as often. The rest is as with :meth:`both`.

        Example:
            >>> def lane(mine):
            ...     return (yield mine) + (yield mine)
            >>> Lanes(2).meet(lane("a"), lane("b"))
            ('bb', 'aa')
        """
        if self.count == 1:
            return _take_turns(first, second)
        there: queue.SimpleQueue[object] = queue.SimpleQueue()
        back: queue.SimpleQueue[object] = queue.SimpleQueue()
        return self.both(partial(_drive, first, there, back), partial(_drive, second, back, there))

    def _work(self) -> None:
        while (job := _take(self._jobs)) is not None:
            if job is _nothing:
                continue
            try:
                with flushed():
                    self._outcomes.put((job(), None))
            except BaseException as error:
                self._outcomes.put((None, error))

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def __del__(self) -> None:
        self._jobs.put(None)

    def __reduce__(self) -> tuple[type[Lanes], tuple[int]]:
        return Lanes, (self.count,)


def _nothing() -> None:
    """What a lane does that is only woken."""


def _take(inbox: queue.SimpleQueue[Given]) -> Given:
    """Return what comes next; before sleeping look for it for a while, as waking takes long."""
    end = time.perf_counter() + LOOKING
    while inbox.empty() and time.perf_counter() < end:
        time.sleep(0)  # lets the other lane have the interpreter
    return inbox.get()


_GONE = object()
"""What a lane that failed leaves for the other."""


def _drive(
    lane: Generator[Any, Any, First],
    outbox: queue.SimpleQueue[object],
    inbox: queue.SimpleQueue[object],
) -> First:
    try:
        given = next(lane)
        while True:
            outbox.put(given)
            if (got := _take(inbox)) is _GONE:
                lane.close()
                return None  # type: ignore[return-value]  # the other's error is raised
            given = lane.send(got)
    except StopIteration as end:
        value: First = end.value
        return value
    except BaseException:
        outbox.put(_GONE)
        raise


def _take_turns(
    first: Generator[Given, Given, First], second: Generator[Given, Given, Second]
) -> tuple[First, Second]:
    ends: list[Any] = []
    one, other = next(first), next(second)
    while not ends:
        given = []
        for lane, got in ((first, other), (second, one)):
            try:
                given.append(lane.send(got))
            except StopIteration as end:
                ends.append(end.value)
        if not ends:
            one, other = given
    return ends[0], ends[1]
