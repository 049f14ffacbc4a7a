"""What an evaluation finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from roboyard.evaluation.episodes import EpisodeRecord
from roboyard.evaluation.statistics import summarize


@dataclass(frozen=True)
class EvaluationResult:
    """Returns, lengths and successes of an evaluation's episodes, and their summary."""

    returns: tuple[float, ...]
    """Undiscounted, unnormalised return of each episode, in the order of their seeds."""
    lengths: tuple[int, ...]
    """Control steps of each episode."""
    successes: tuple[bool, ...] | None
    """Whether each episode succeeded; None where the task does not say."""
    metrics: Mapping[str, tuple[float, ...]]
    """What the task reports of each episode, by name; only what all of them report."""
    mean: float
    std: float
    """Standard deviation of the returns (population)."""
    median: float
    iqm: float
    """Interquartile mean of the returns."""
    iqm_low: float
    """Lower end of the 95 % bootstrap interval of ``iqm``."""
    iqm_high: float
    """Upper end of it."""

    @classmethod
    def from_episodes(cls, episodes: Sequence[EpisodeRecord]) -> EvaluationResult:
        """Summarise at least one episode; an episode that does not report success failed."""
        reported = any(episode.success is not None for episode in episodes)
        returns = tuple(episode.total_reward for episode in episodes)
        return cls(
            returns,
            tuple(episode.length for episode in episodes),
            tuple(bool(episode.success) for episode in episodes) if reported else None,
            {
                name: tuple(episode.metrics[name] for episode in episodes)
                for name in episodes[0].metrics
                if all(name in episode.metrics for episode in episodes)
            },
            *summarize(returns),
        )

    @property
    def success_rate(self) -> float | None:
        """Fraction of the episodes that succeeded; None where the task does not say."""
        return sum(self.successes) / len(self.successes) if self.successes is not None else None

    @property
    def mean_length(self) -> float:
        """Mean length [control steps]."""
        return sum(self.lengths) / len(self.lengths)

    @property
    def mean_metrics(self) -> dict[str, float]:
        """Mean of each metric over the episodes."""
        return {name: sum(values) / len(values) for name, values in self.metrics.items()}

    def to_dict(self) -> dict[str, JsonValue]:
        """Return everything as JSON values."""
        return {
            "returns": list(self.returns),
            "lengths": list(self.lengths),
            "successes": None if self.successes is None else list(self.successes),
            "mean": self.mean,
            "std": self.std,
            "median": self.median,
            "iqm": self.iqm,
            "iqm_low": self.iqm_low,
            "iqm_high": self.iqm_high,
            "mean_length": self.mean_length,
            "success_rate": self.success_rate,
            "metrics": dict(self.mean_metrics),
        }
