"""What a run came to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from roboyard.runs.directory import RunState
from roboyard.runs.signals import EXIT_CONTINUE

if TYPE_CHECKING:
    from roboyard.evaluation.evaluator import EvaluationResult


@dataclass(frozen=True)
class TrainResult:
    """How a run ended and where its files are."""

    run_dir: Path
    """The run's folder."""
    steps: int
    """Control steps done."""
    state: RunState
    """``finished`` or ``interrupted``."""
    reason: str
    """Why it ended."""
    best_return: float | None = None
    """Best mean return of the evaluations during training."""
    evaluation: EvaluationResult | None = None
    """Final evaluation of the best policy."""
    uri: str = ""
    """What to continue the run with: its folder, or its place in a store."""

    @property
    def exit_code(self) -> int:
        """0, or 75 when the run was interrupted and can be continued."""
        return EXIT_CONTINUE if self.state == "interrupted" else 0
