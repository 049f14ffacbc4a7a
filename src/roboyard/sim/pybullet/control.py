"""Batched commands to joints, and the memory of them that a snapshot needs.

The engine's saved states leave out what motors were told. ``Motors`` remembers it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from operator import is_
from typing import NamedTuple

import numpy as np

from roboyard.sim.pybullet.engine import pybullet
from roboyard.sim.world import Numbers

LARGEST_FORCE = 1e6  # the engine takes no infinite one


class MotorCommand(NamedTuple):
    """What some joints of a body were told last."""

    body: int
    joints: tuple[int, ...]
    mode: int
    positions: list[float] | None
    velocities: list[float] | None
    forces: list[float] | None
    position_gains: list[float] | None
    velocity_gains: list[float] | None


def as_list(values: Numbers) -> list[float]:
    """Return plain floats, which the engine reads faster than an array."""
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def _optional(values: Numbers | None) -> list[float] | None:
    return None if values is None else as_list(values)


class Motors:
    """The last command to each group of joints, in the order in which they were given."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self.commands: dict[tuple[int, tuple[int, ...]], MotorCommand] = {}

    def set(  # noqa: PLR0917
        self,
        client: int,
        body: int,
        joints: Sequence[int],
        mode: int,
        positions: Numbers | None,
        velocities: Numbers | None,
        forces: Numbers | None,
        position_gains: Numbers | None,
        velocity_gains: Numbers | None,
    ) -> None:
        """Command ``joints`` of ``body`` and remember it."""
        command = MotorCommand(
            body,
            tuple(joints),
            mode,
            _optional(positions),
            _optional(velocities),
            _optional(forces),
            _optional(position_gains),
            _optional(velocity_gains),
        )
        send(client, command)
        key = (body, command.joints)
        self.commands.pop(key, None)
        self.commands[key] = command

    def restore(self, client: int, saved: dict[tuple[int, tuple[int, ...]], MotorCommand]) -> None:
        """Give the commands of ``saved`` again, unless they are the present ones."""
        present = self.commands
        if len(present) == len(saved) and all(map(is_, present.values(), saved.values())):
            return
        for command in saved.values():
            send(client, command)
        self.commands = dict(saved)


def send(client: int, command: MotorCommand) -> None:
    """Hand a command to the engine."""
    arguments = {
        "targetPositions": command.positions,
        "targetVelocities": command.velocities,
        "forces": command.forces,
        "positionGains": command.position_gains,
        "velocityGains": command.velocity_gains,
    }
    pybullet.setJointMotorControlArray(
        command.body,
        command.joints,
        command.mode,
        physicsClientId=client,
        **{name: value for name, value in arguments.items() if value is not None},
    )


def torque_sender(client: int, body: int, joints: Sequence[int]) -> Callable[[list[float]], None]:
    """Return a call that takes torques [N m] or forces [N] of ``joints`` for the next step."""
    unused = [0.0] * len(joints)
    send = partial(
        pybullet.setJointMotorControlArray,
        body,
        tuple(joints),
        pybullet.TORQUE_CONTROL,
        unused,  # positions
        unused,  # velocities
    )

    def set_torques(torques: list[float]) -> None:
        send(torques, unused, unused, client)  # no gains either

    return set_torques
