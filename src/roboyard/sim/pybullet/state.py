"""What a saved world holds beside the engine's own part."""

from __future__ import annotations

from typing import Any, NamedTuple

from roboyard.sim.pybullet.control import MotorCommand
from roboyard.sim.pybullet.dynamics import Changes
from roboyard.sim.settings import Vector


class SavedSettings(NamedTuple):
    """What was set through a world and the engine's saved states leave out."""

    motors: dict[tuple[int, tuple[int, ...]], MotorCommand]
    """Last commands to motors."""
    dynamics: Changes
    """Changed physical properties."""
    gravity: Vector
    """Gravity [m/s^2]."""

    def to_record(self) -> dict[str, object]:
        """Return it in a form that a snapshot can hold."""
        return {
            "motors": list(self.motors.values()),
            "dynamics": list(self.dynamics.items()),
            "gravity": self.gravity,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> SavedSettings:
        """Return what :meth:`to_record` made the record from."""
        commands = [_command(row) for row in record["motors"]]
        x, y, z = record["gravity"]
        return cls(
            motors={(command.body, command.joints): command for command in commands},
            dynamics={(body, link): values for (body, link), values in record["dynamics"]},
            gravity=(x, y, z),
        )


def _command(row: list[Any]) -> MotorCommand:
    body, joints, *values = row
    return MotorCommand(body, tuple(joints), *values)


def describe_bodies(bodies: dict[int, list[str]]) -> str:
    """Return one line on bodies, given their signatures."""
    parts = [
        f"{names[0] or names[1] or 'unnamed'} with {len(names) - 2} joints"
        for names in bodies.values()
    ]
    return ", ".join(parts) or "none"
