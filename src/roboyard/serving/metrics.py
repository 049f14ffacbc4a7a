"""Counters, gauges and histograms in Prometheus' text format."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

LATENCY_BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)
ROWS_BUCKETS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)

Labels = tuple[str, ...]


@dataclass
class Counter:
    """Counts by labels."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    values: dict[Labels, float] = field(default_factory=dict)

    def add(self, *labels: str, amount: float = 1.0) -> None:
        """Count."""
        self.values[labels] = self.values.get(labels, 0.0) + amount

    def lines(self) -> Iterator[str]:
        """Yield the text."""
        yield from _head(self.name, self.help, "counter")
        for labels, value in self.values.items():
            yield f"{self.name}{_braces(self.labels, labels)} {value:g}"


@dataclass
class Gauge:
    """A value that is asked for when it is read."""

    name: str
    help: str
    read: Callable[[], float]

    def lines(self) -> Iterator[str]:
        """Yield the text."""
        yield from _head(self.name, self.help, "gauge")
        yield f"{self.name} {self.read():g}"


@dataclass
class Histogram:
    """Counts in buckets, by labels."""

    name: str
    help: str
    buckets: tuple[float, ...]
    labels: tuple[str, ...] = ()
    counts: dict[Labels, list[int]] = field(default_factory=dict)
    sums: dict[Labels, float] = field(default_factory=dict)

    def observe(self, value: float, *labels: str) -> None:
        """Count a value."""
        counts = self.counts.get(labels)
        if counts is None:
            counts = self.counts[labels] = [0] * (len(self.buckets) + 1)
            self.sums[labels] = 0.0
        counts[bisect_left(self.buckets, value)] += 1
        self.sums[labels] += value

    def lines(self) -> Iterator[str]:
        """Yield the text."""
        yield from _head(self.name, self.help, "histogram")
        names = (*self.labels, "le")
        for labels, counts in self.counts.items():
            total = 0
            for bound, count in zip((*self.buckets, float("inf")), counts, strict=True):
                total += count
                edge = "+Inf" if bound == float("inf") else f"{bound:g}"
                yield f"{self.name}_bucket{_braces(names, (*labels, edge))} {total}"
            yield f"{self.name}_sum{_braces(self.labels, labels)} {self.sums[labels]:.9g}"
            yield f"{self.name}_count{_braces(self.labels, labels)} {total}"


def _head(name: str, text: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _braces(names: tuple[str, ...], values: Labels) -> str:
    if not names:
        return ""
    pairs = zip(names, values, strict=True)
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in pairs) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
