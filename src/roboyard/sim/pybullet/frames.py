"""A base's pose and velocity in its link's frame, where the engine tells the inertial frame's."""

from __future__ import annotations

import numpy as np

from roboyard.sim.bodies import BaseState
from roboyard.sim.mechanics import quaternion_from_rotation
from roboyard.sim.model import Pose
from roboyard.sim.pybullet.engine import pybullet
from roboyard.sim.rotations import moved_velocity
from roboyard.sim.settings import Quaternion, Vector


class BaseFrame:
    """Where a base's inertial frame lies in its link's, fixed for the life of the body."""

    def __init__(self, inertial: Pose) -> None:
        """Take the inertial frame in the link's frame."""
        self._outward = _plain(inertial)
        self._inward = _plain(inertial.inverse())

    def link_pose(self, position: Vector, orientation: Quaternion) -> tuple[Vector, Quaternion]:
        """Return the link's pose from that of the inertial frame."""
        pose: tuple[Vector, Quaternion] = pybullet.multiplyTransforms(
            position, orientation, *self._inward
        )
        return pose

    def link_velocity(
        self, orientation: Quaternion, linear: Vector, angular: Vector
    ) -> tuple[Vector, Vector]:
        """Return the velocities of the link's origin from those of the centre of mass.

        Args:
            orientation: Of the inertial frame.
            linear: Of the centre of mass [m/s].
            angular: Of the link [rad/s].
        """
        x, y, z = self.link_pose((0.0, 0.0, 0.0), orientation)[0]
        return moved_velocity(linear, angular, (x, y, z)), angular

    def state(self, inertial: BaseState) -> BaseState:
        """Return the link's state from that of the inertial frame."""
        place, turn, linear, angular = inertial
        return BaseState(*self.link_pose(place, turn), *self.link_velocity(turn, linear, angular))

    def inertial_state(self, link: BaseState) -> BaseState:
        """Return the inertial frame's state from that of the link."""
        place, turn, linear, angular = link
        position, orientation = pybullet.multiplyTransforms(place, turn, *self._outward)
        away = (position[0] - place[0], position[1] - place[1], position[2] - place[2])
        return BaseState(position, orientation, moved_velocity(linear, angular, away), angular)


def _plain(pose: Pose) -> tuple[Vector, Quaternion]:
    x, y, z = np.asarray(pose.position, float).tolist()
    w, i, j, k = quaternion_from_rotation(pose.rotation).tolist()
    return (x, y, z), (i, j, k, w)
