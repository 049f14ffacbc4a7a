"""Every error that Roboyard raises on purpose.

The tree::

    RoboyardError
    ├── ConfigError              a YAML file, an override or an argument is wrong
    ├── RobotDescriptionError    a URDF, MJCF or robot spec is wrong
    ├── SimulationError          the physics engine refused or produced nonsense
    ├── CheckpointError          a checkpoint is damaged or belongs to another run
    ├── StorageError             a store cannot be read or written
    ├── PolicyError              a policy bundle or network is wrong
    ├── TrainingError            a run cannot go on (NaN, a dead worker)
    ├── CloudError               a cloud service refused
    ├── BridgeError              a robot or another simulator is out of reach
    └── MissingDependencyError   an optional package is not installed

A message says what was given, what is allowed, and what to do. ``exit_code`` is what the
command line ends with: 2 for the user's mistake, 1 for a failure, 77 for a run that another
process has taken over.
"""

from __future__ import annotations

from typing import ClassVar

from roboyard.text import shown


class RoboyardError(Exception):
    """Base class of every error in this tree; catch it to catch them all."""

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        """Return the message, in which nothing acts on a terminal and no secret stands."""
        return shown(super().__str__())


class ConfigError(RoboyardError):
    """A YAML file, an override or an argument is wrong."""

    exit_code: ClassVar[int] = 2


class RobotDescriptionError(RoboyardError):
    """A URDF, MJCF or robot spec is wrong."""

    exit_code: ClassVar[int] = 2


class SimulationError(RoboyardError):
    """The physics engine refused a call or produced values that are not finite."""


class CheckpointError(RoboyardError):
    """A checkpoint is damaged, incomplete, or belongs to another run."""


class StorageError(RoboyardError):
    """A store cannot be read or written."""


class PolicyError(RoboyardError):
    """A policy bundle or network is wrong or does not fit the environment."""

    def __init__(self, message: str) -> None:
        """Take the message as one line of print: it may quote what a stranger wrote."""
        super().__init__("".join(c if c.isprintable() else " " for c in message))


class TrainingError(RoboyardError):
    """A run cannot go on: NaN in its numbers, or a worker process died."""


class CloudError(RoboyardError):
    """A cloud service refused or failed."""


class BridgeError(RoboyardError):
    """A robot or another simulator cannot be reached or disagrees."""


class MissingDependencyError(RoboyardError):
    """An optional package is not installed; the message holds the exact pip line."""

    exit_code: ClassVar[int] = 2
