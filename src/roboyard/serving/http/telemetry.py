"""What the server knows about its own work."""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

import numpy as np

from roboyard.serving.http.metrics import Metrics

_KEPT = 4096
_WINDOW_S = 10.0


class Live(NamedTuple):
    """The last seconds of one policy."""

    requests_per_s: float
    """Answered requests and messages per second."""
    errors_per_s: float
    """Of those, refused or failed."""
    p50_ms: float | None
    """Median time in the server [ms]."""
    p99_ms: float | None
    """99th percentile of it [ms]."""


class _Sample(NamedTuple):
    time_s: float
    seconds: float
    is_error: bool


class Telemetry:
    """Metrics for Prometheus and a live view for the page."""

    def __init__(self) -> None:
        self._metrics = Metrics()
        self.sessions = 0
        """WebSocket sessions that are open."""
        self.in_flight = 0
        """HTTP requests under way."""
        self.policies = 0
        """Loaded versions."""
        self._recent: dict[str, deque[_Sample]] = {}
        self._metrics.add_gauge(
            "roboyard_sessions", "Open WebSocket sessions.", lambda: self.sessions
        )
        self._metrics.add_gauge(
            "roboyard_requests_in_flight", "Requests under way.", lambda: self.in_flight
        )
        self._metrics.add_gauge(
            "roboyard_policy_versions", "Loaded versions.", lambda: self.policies
        )

    def record(self, policy: str, version: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._metrics.requests.labels(policy, version, route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if policy:
            recent = self._recent.get(policy)
            if recent is None:
                recent = self._recent[policy] = deque(maxlen=_KEPT)
            recent.append(_Sample(time.monotonic(), seconds, status >= 400))

    def record_load(self, outcome: str) -> None:
        """Count one bundle that was read: ``loaded`` or ``failed``."""
        self._metrics.loads.labels(outcome).inc()

    def record_run(self, rows: int, seconds: float) -> None:
        """Count one run of a network."""
        self._metrics.batch_rows.observe(rows)
        self._metrics.run_seconds.observe(seconds)

    def live(self, policy: str) -> Live:
        """Return the last seconds of a policy."""
        now = time.monotonic()
        recent = [s for s in self._recent.get(policy, ()) if now - s.time_s < _WINDOW_S]
        if not recent:
            return Live(0.0, 0.0, None, None)
        # When more came than are kept, the kept ones span less than the window.
        span = _WINDOW_S if len(recent) < _KEPT else max(now - recent[0].time_s, 1e-3)
        p50, p99 = np.percentile([sample.seconds for sample in recent], [50, 99]) * 1e3
        errors = sum(sample.is_error for sample in recent)
        return Live(len(recent) / span, errors / span, float(p50), float(p99))

    def text(self) -> str:
        """Return everything in Prometheus' text format."""
        return self._metrics.text()
