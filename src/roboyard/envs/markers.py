"""Objects that show where a commanded point is, to the eye and to cameras."""

from __future__ import annotations

from collections.abc import Mapping

from roboyard.config.objects import ObjectConfig
from roboyard.robots import RobotState
from roboyard.robots.reading import Thing
from roboyard.sim import World


class Markers:
    """Puts marking objects where their commands point; they touch nothing."""

    def __init__(
        self, world: World, things: Mapping[str, Thing], configs: Mapping[str, ObjectConfig]
    ) -> None:
        """Collect the objects that mark a command."""
        self._world = world
        self._rows = [
            (config.marks, things[name].body)
            for name, config in configs.items()
            if config.marks is not None
        ]

    def place(self, state: RobotState) -> None:
        """Move every marker to its point, if it is elsewhere."""
        for command, body in self._rows:
            x, y, z = state.commands[command][:3].tolist()
            present = self._world.base(body)
            if present.position != (x, y, z):
                self._world.set_base(body, present._replace(position=(x, y, z)))
