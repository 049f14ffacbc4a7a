"""Trying again, with growing pauses."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
_log = logging.getLogger(__name__)

# Not the global generator: a background upload must not disturb the numbers of a run.
_jitter = random.SystemRandom()


@dataclass(frozen=True)
class Retries:
    """How often and how fast to try again; pauses double and are jittered."""

    attempts: int = 6
    """Largest number of tries, the first one included."""
    backoff_s: float = 0.5
    """Longest first pause [s]."""
    max_backoff_s: float = 20.0
    """Longest pause [s]."""

    def run(self, action: Callable[[int], T], transient: Callable[[Exception], bool]) -> T:
        """Return what ``action`` returns, calling it again after transient errors.

        Args:
            action: Is given the number of the attempt, from 0.
            transient: Whether trying again after this error makes sense.

        Raises:
            Exception: The error of the last attempt.
        """
        attempt = 0
        while True:
            try:
                return action(attempt)
            except Exception as error:
                attempt += 1
                if attempt >= self.attempts or not transient(error):
                    raise
                pause = self.pause(attempt)
                _log.debug("attempt %d failed (%s); again in %.2f s", attempt, error, pause)
                time.sleep(pause)

    def pause(self, attempt: int) -> float:
        """Return a random pause [s] after so many failed attempts."""
        longest = min(self.max_backoff_s, self.backoff_s * 2.0 ** (attempt - 1))
        return longest * _jitter.uniform(0.5, 1.0)
