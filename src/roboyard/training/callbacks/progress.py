"""What a person sees while a run goes on: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from roboyard.training.callbacks.base import Boundary, RunCallback
from roboyard.training.callbacks.evaluation import EvaluationCallback

BAR_SECONDS = 0.2
"""Time between updates of the bar."""
LINE_SECONDS = 10.0
"""Time between lines where there is no terminal."""


class ProgressCallback(RunCallback):
    """Shows steps, speed, time left, and the last and best return."""

    def __init__(self, total_steps: int, console: Console | None = None) -> None:
        """Show the progress towards ``total_steps``.

        Args:
            total_steps: Control steps of the whole run.
            console: Where to write; by default standard output, and NO_COLOR is honoured.
        """
        super().__init__()
        self.evaluations: EvaluationCallback | None = None
        """Knows the last and the best evaluation."""
        self._total = total_steps
        self._console = console or Console()
        self._view: _Bar | _Lines | None = None
        self._shown = 0.0
        self._speed = _Speed()

    def on_boundary(self, boundary: Boundary) -> None:
        """Show the last state before the end."""
        if boundary.final:
            self._show(boundary.step)

    def close(self) -> None:
        """Take the bar away."""
        if self._view is not None:
            self._view.close()
            self._view = None

    def _on_training_start(self) -> None:
        kind = _Bar if self._console.is_terminal else _Lines
        self._view = kind(self._console, self._total)
        self._shown = time.monotonic()

    def _on_step(self) -> bool:
        if self._view is not None and time.monotonic() - self._shown >= self._view.seconds:
            self._show(self.model.num_timesteps)
        return True

    def _show(self, step: int) -> None:
        if self._view is not None:
            self._shown = time.monotonic()
            self._view.show(step, self._speed.at(step), self._scores())

    def _scores(self) -> str:
        episodes = self.model.ep_info_buffer
        texts = []
        if episodes:
            mean = sum(float(episode["r"]) for episode in episodes) / len(episodes)
            texts.append(f"return {mean:.1f}")
        if self.evaluations is not None and self.evaluations.latest is not None:
            assert self.evaluations.best is not None
            texts.append(
                f"evaluated {self.evaluations.latest.mean:.1f}"
                f" (best {self.evaluations.best.mean:.1f})"
            )
        return ", ".join(texts)


class _Speed:
    """Steps per second over the last few seconds."""

    def __init__(self, window: float = 5.0) -> None:
        self._window = window
        self._marks: list[tuple[float, int]] = []

    def at(self, step: int) -> float:
        now = time.monotonic()
        if self._marks and step < self._marks[-1][1]:
            self._marks.clear()
        self._marks.append((now, step))
        while len(self._marks) > 2 and now - self._marks[1][0] > self._window:
            self._marks.pop(0)
        (first, start), (last, end) = self._marks[0], self._marks[-1]
        return (end - start) / (last - first) if last > first else 0.0


class _Bar:
    """A rich progress bar."""

    seconds = BAR_SECONDS

    def __init__(self, console: Console, total: int) -> None:
        columns = (
            TextColumn("[bold]training"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TextColumn("{task.fields[speed]:,.0f} steps/s"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[scores]}"),
        )
        self._progress = Progress(*columns, console=console, transient=True, expand=True)
        self._task: TaskID = self._progress.add_task("", total=total, speed=0.0, scores="")
        self._progress.start()

    def show(self, step: int, speed: float, scores: str) -> None:
        self._progress.update(self._task, completed=step, speed=speed, scores=scores)

    def close(self) -> None:
        self._progress.stop()


class _Lines:
    """One plain line now and then."""

    seconds = LINE_SECONDS

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total

    def show(self, step: int, speed: float, scores: str) -> None:
        left = f"{_duration((self._total - step) / speed)} left" if speed > 0 else ""
        parts = (
            f"step {step:,}/{self._total:,} ({min(100, 100 * step / self._total):.0f} %)",
            f"{speed:,.0f} steps/s" if speed > 0 else "",
            left,
            scores,
        )
        self._console.print(
            ", ".join(part for part in parts if part), highlight=False, markup=False, soft_wrap=True
        )

    def close(self) -> None:
        pass


def _duration(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
