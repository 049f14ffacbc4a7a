"""Doing everything to a run that can happen to it, to see that it ends as if nothing had."""

from roboyard.testing.chaos.compare import Outcome
from roboyard.testing.chaos.harness import ChaosReport, run_chaos, train_command
from roboyard.testing.chaos.machine import Machine
from roboyard.testing.chaos.schedule import Blow, FaultKind, FaultSchedule

__all__ = [
    "Blow",
    "ChaosReport",
    "FaultKind",
    "FaultSchedule",
    "Machine",
    "Outcome",
    "run_chaos",
    "train_command",
]
