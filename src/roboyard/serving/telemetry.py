"""What the server knows about its own work."""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

import numpy as np

from roboyard.serving.metrics import LATENCY_BUCKETS, ROWS_BUCKETS, Counter, Gauge, Histogram

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
        which = ("policy", "version", "route", "status")
        self.requests = Counter("roboyard_requests_total", "Answered requests.", which)
        self.seconds = Histogram(
            "roboyard_request_seconds", "Time in the server.", LATENCY_BUCKETS, ("route",)
        )
        self.batch_rows = Histogram("roboyard_batch_rows", "Observations per run.", ROWS_BUCKETS)
        self.run_seconds = Histogram(
            "roboyard_inference_seconds", "Time of a run of the network.", LATENCY_BUCKETS
        )
        self.loads = Counter("roboyard_loads_total", "Bundles read.", ("outcome",))
        self.sessions = 0
        """WebSocket sessions that are open."""
        self.in_flight = 0
        """HTTP requests under way."""
        self.policies = 0
        """Loaded versions."""
        self._recent: dict[str, deque[_Sample]] = {}

    def record(self, policy: str, version: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self.requests.add(policy, version, route, str(status))
        self.seconds.observe(seconds, route)
        if policy:
            recent = self._recent.get(policy)
            if recent is None:
                recent = self._recent[policy] = deque(maxlen=_KEPT)
            recent.append(_Sample(time.monotonic(), seconds, status >= 400))

    def record_run(self, rows: int, seconds: float) -> None:
        """Count one run of a network."""
        self.batch_rows.observe(rows)
        self.run_seconds.observe(seconds)

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
        parts: list[Counter | Gauge | Histogram] = [
            self.requests,
            self.seconds,
            self.batch_rows,
            self.run_seconds,
            self.loads,
            Gauge("roboyard_sessions", "Open WebSocket sessions.", lambda: self.sessions),
            Gauge("roboyard_requests_in_flight", "Requests under way.", lambda: self.in_flight),
            Gauge("roboyard_policy_versions", "Loaded versions.", lambda: self.policies),
        ]
        return "\n".join(line for part in parts for line in part.lines()) + "\n"
