"""The metrics of one server, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

_LATENCY_BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)
_ROWS_BUCKETS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)


class Metrics:
    """Counters, gauges and histograms in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # When each series began says nothing that anybody asks for.
        self._registry = CollectorRegistry()
        which = ("policy", "version", "route", "status")
        self.requests = Counter(
            "roboyard_requests_total", "Answered requests.", which, registry=self._registry
        )
        self.seconds = Histogram(
            "roboyard_request_seconds",
            "Time in the server.",
            ("route",),
            buckets=_LATENCY_BUCKETS,
            registry=self._registry,
        )
        self.batch_rows = Histogram(
            "roboyard_batch_rows",
            "Observations per run.",
            buckets=_ROWS_BUCKETS,
            registry=self._registry,
        )
        self.run_seconds = Histogram(
            "roboyard_inference_seconds",
            "Time of a run of the network.",
            buckets=_LATENCY_BUCKETS,
            registry=self._registry,
        )
        self.loads = Counter(
            "roboyard_loads_total", "Bundles read.", ("outcome",), registry=self._registry
        )

    def add_gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a value that is asked for when it is read."""
        Gauge(name, text, registry=self._registry).set_function(read)

    def text(self) -> str:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry).decode()
