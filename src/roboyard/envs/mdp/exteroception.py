"""Observation terms of the surroundings: heights, rays, cameras.

Rays and cameras look through the record, each for itself: what they see cannot be read once for
all terms.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt

from roboyard.envs.managers.registry import Term, TermSetup, observation
from roboyard.envs.managers.selections import Link
from roboyard.errors import ConfigError
from roboyard.robots import RobotState
from roboyard.robots.reading import BASE_POSE
from roboyard.sim import View

Floats = NDArray[np.float64]
MAX_RAYS = 4096
MAX_PIXELS = 512 * 512


@observation(BASE_POSE, name="height_scan", unit="m")
class HeightScan(Term):
    """Heights of the ground around the robot, seen from its base link and heading, shape (points,).

    Points lie on a grid that turns with the robot, row by row from behind to ahead, each from
    right to left. A value is the base's height above the ground there minus ``reference``.
    Source: the height measurements of legged_gym (Rudin et al. 2022).
    """

    def __init__(
        self,
        setup: TermSetup,
        length: PositiveFloat = 1.6,
        width: PositiveFloat = 1.0,
        spacing: PositiveFloat = 0.2,
        reference: float = 0.3,
    ) -> None:
        """Lay out the grid.

        Args:
            setup: What the term may know.
            length: Extent ahead and behind together [m].
            width: Extent to both sides together [m].
            spacing: Distance between neighbouring points [m].
            reference: Height of the base that counts as 0 [m].

        Raises:
            ConfigError: There are too many points.
        """
        del setup  # Unused.
        along, across = (math.floor(extent / spacing + 1e-9) + 1 for extent in (length, width))
        _check_size(along * across, MAX_RAYS, "points", "a wider spacing")
        u = (np.arange(along) - (along - 1) / 2) * spacing
        v = (np.arange(across) - (across - 1) / 2) * spacing
        grid = np.meshgrid(u, v, indexing="ij")
        self._points = list(zip(*(axis.ravel().tolist() for axis in grid), strict=True))
        self._reference = reference

    def __call__(self, state: RobotState) -> list[float]:
        """Return the heights [m]."""
        x, y, z = state.base_position
        yaw, ground = state.base_euler[2], state.ground_height
        cos, sin, top = math.cos(yaw), math.sin(yaw), z - self._reference
        return [top - ground(x + cos * u - sin * v, y + sin * u + cos * v) for u, v in self._points]


@observation(BASE_POSE, name="rays", unit="m")
class Rays(Term):
    """Distances to whatever is around the robot, in a horizontal fan, shape (rays,).

    The fan begins to the right of the robot's heading and goes anticlockwise; where a ray meets
    nothing, its value is its range. Rays start outside the robot, at ``start``.
    """

    def __init__(
        self,
        setup: TermSetup,
        *,
        count: PositiveInt = 16,
        angle: PositiveFloat = math.pi,
        reach: PositiveFloat = 5.0,
        start: PositiveFloat = 0.4,
        height: float = 0.0,
    ) -> None:
        """Lay out the fan.

        Args:
            setup: What the term may know.
            count: Number of rays.
            angle: Angle of the whole fan, its middle straight ahead [rad].
            reach: Length of the rays, from the base link [m].
            start: Where they start, from the base link [m].
            height: Height above the base link [m].

        Raises:
            ConfigError: There are too many rays, or they end before they start.
        """
        _check_size(count, MAX_RAYS, "rays", "fewer")
        if start >= reach:
            raise ConfigError(f"rays start at {start} m, beyond their reach of {reach} m.")
        del setup  # Unused.
        middle = (np.arange(count) + 0.5) / count - 0.5
        self._angles: Floats = middle * angle
        self._start, self._reach, self._height = start, reach, height

    def __call__(self, state: RobotState) -> Floats:
        """Return the distances from the base link [m]."""
        angles = self._angles + state.base_euler[2]
        outward = np.stack([np.cos(angles), np.sin(angles), np.zeros_like(angles)], axis=1)
        origin = np.array(state.base_position) + np.array([0.0, 0.0, self._height])
        starts, ends = origin + self._start * outward, origin + self._reach * outward
        fractions = state.cast_rays(starts, ends)
        return self._start + fractions * (self._reach - self._start)


@observation(BASE_POSE, name="camera", is_picture=True)
class CameraTerm(Term):
    """What a camera sees: colours, depth [m] or segmentation, shape (height, width, channels).

    Colours are bytes in 3 channels. Depth is a float in 1 channel, along the viewing direction.
    Segmentation is a byte in 1 channel: 0 nothing, 1 the ground or anything else, 2 the robot.
    The term needs a group of its own.
    """

    def __init__(
        self,
        setup: TermSetup,
        *,
        kind: Literal["rgb", "depth", "segmentation"] = "rgb",
        size: tuple[PositiveInt, PositiveInt] = (64, 64),
        position: tuple[float, float, float] = (1.0, 0.0, 1.0),
        target: tuple[float, float, float] = (0.0, 0.0, 0.0),
        field_of_view: PositiveFloat = 60.0,
        link: Link | None = None,
    ) -> None:
        """Place the camera.

        Args:
            setup: What the term may know.
            kind: What the picture holds.
            size: Height and width [pixels].
            position: Where it is, in the world or seen from ``link`` [m].
            target: What it looks at, likewise [m].
            field_of_view: Vertical [deg].
            link: Link that carries it; by default it stands still in the world.

        Raises:
            ConfigError: The picture is too large.
        """
        height, width = size
        _check_size(height * width, MAX_PIXELS, "pixels", "a smaller size")
        del setup  # Unused.
        self._kind, self._link = kind, link
        self._view = View(position, target, width, height, field_of_view)

    def __call__(self, state: RobotState) -> NDArray[Any]:
        """Return a new picture."""
        seen = state.take_picture(self._view, self._link)
        if self._kind == "rgb":
            return seen.rgb
        if self._kind == "depth":
            return seen.depth[:, :, None].astype(np.float32)
        others = seen.segmentation >= 0
        is_robot = seen.segmentation == state.robot.body
        classes: NDArray[np.uint8] = others.astype(np.uint8) + is_robot.astype(np.uint8)
        return classes[:, :, None]


def _check_size(count: int, most: int, what: str, instead: str) -> None:
    if count > most:
        raise ConfigError(
            f"the observation is too large: {count} {what}, at most {most} are allowed; "
            f"use {instead}."
        )
