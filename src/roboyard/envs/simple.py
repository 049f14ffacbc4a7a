"""SimpleRobotEnv: balance a pole on a cart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from roboyard.envs.base import BaseRobotEnv
from roboyard.errors import SimulationError
from roboyard.sim import Camera, Dynamics, JointReader, WorldConfig

CARTPOLE_URDF = Path(__file__).parent / "assets" / "cartpole.urdf"
"""The robot description that ships with the package."""

MAX_FORCE = 10.0
"""Force on the cart at an action of 1 [N]."""
MAX_ANGLE = math.radians(12)
"""Pole angle at which the episode terminates [rad]."""
MAX_POSITION = 2.4
"""Cart position at which the episode terminates [m]."""
INITIAL_RANGE = 0.05
"""Largest initial value of each state [m], [m/s], [rad], [rad/s]."""

_SLIDER = (0,)
_JOINTS = (0, 1)
_RAIL_HEIGHT = 0.6
# Twice the angle and position at which an episode ends, so that the last observation is inside.
_HIGH = np.array([2 * MAX_POSITION, 15.0, 2 * MAX_ANGLE, 10.0], dtype=np.float32)

Floats32 = NDArray[np.float32]


class SimpleRobotEnv(BaseRobotEnv[Floats32, Floats32]):
    """Balance a pole on a cart that is pushed along a rail.

    ## Description
    The cart-pole problem of Barto, Sutton and Anderson (1983), with a continuous force, simulated
    by PyBullet: a cart of 1 kg slides without friction on a rail, and a uniform pole of 0.1 kg
    and 1 m turns freely on it. Push the cart so that the pole stays up.

    ## Action space
    ``Box(-1, 1, (1,), float32)``: the force on the cart, in units of 10 N; positive pushes
    towards +x. It is held for one control step of 0.02 s, that is two physics steps of 0.01 s.
    Values outside are clipped; NaN and infinity are errors.

    ## Observation space
    ``Box((4,), float32)``:

    | index | observation | unit | limit |
    |---|---|---|---|
    | 0 | cart position | m | 4.8 |
    | 1 | cart velocity | m/s | 15 |
    | 2 | pole angle, 0 is upright, positive leans to +x | rad | 0.419 |
    | 3 | pole rate | rad/s | 10 |

    ## Rewards
    1 for every step, the last one included. The best return is 500.

    ## Starting state
    All four values are drawn uniformly from -0.05 to 0.05.

    ## Episode end
    - Terminated: the pole leans by more than 12 degrees, or the cart is more than 2.4 m off.
    - Truncated: after ``max_episode_steps`` (500) steps, which is 10 s.

    ## Arguments
    ``gymnasium.make("roboyard/SimpleRobot-v0", render_mode="rgb_array")``; ``render_mode`` is
    ``"rgb_array"``, ``"human"`` or None. Without ``gymnasium.make``, ``max_episode_steps`` is an
    argument as well.

    ## Version history
    - v0: first version.
    """

    observation_names = (
        "cart position [m]",
        "cart velocity [m/s]",
        "pole angle [rad]",
        "pole rate [rad/s]",
    )
    action_names = ("force [10 N]",)
    camera = Camera(target=(0.0, 0.0, 0.85), distance=5.2, yaw=0.0, pitch=-8.0)

    def __init__(
        self, *, render_mode: str | None = None, max_episode_steps: int | None = 500
    ) -> None:
        """Open the world and load the cart-pole.

        Args:
            render_mode: ``"rgb_array"`` for pictures, ``"human"`` for PyBullet's window, or None.
            max_episode_steps: Control steps after which an episode is truncated; None for never.
        """
        self.observation_space = Box(-_HIGH, _HIGH, dtype=np.float32)
        self.action_space = Box(-1.0, 1.0, (1,), np.float32)
        self._state = (0.0, 0.0, 0.0, 0.0)
        super().__init__(
            render_mode=render_mode,
            world=WorldConfig(time_step=0.01, steps_per_call=2),
            max_episode_steps=max_episode_steps,
        )

    def _load(self) -> None:
        self._robot = self.world.load_urdf(
            CARTPOLE_URDF, position=(0.0, 0.0, _RAIL_HEIGHT), fixed_base=True
        )
        undamped = Dynamics(linear_damping=0.0, angular_damping=0.0, joint_damping=0.0)
        for link in (-1, *_JOINTS):
            self.world.set_dynamics(self._robot, link, undamped)
        self._reader = JointReader(self.world, self._robot, _JOINTS)

    def _reset(self, options: Mapping[str, Any]) -> None:
        del options  # Unused.
        x, velocity, angle, rate = self.np_random.uniform(-INITIAL_RANGE, INITIAL_RANGE, 4).tolist()
        self.world.set_joint_states(self._robot, _JOINTS, (x, angle), (velocity, rate))
        self._read()

    def _apply(self, action: Floats32) -> None:
        force = _checked(action)
        self.world.set_torques(self._robot, _SLIDER, (MAX_FORCE * min(max(force, -1.0), 1.0),))

    def _simulate(self) -> None:
        self.world.step()
        self._read()

    def _observe(self) -> Floats32:
        return np.array(self._state, dtype=np.float32)

    def _reward(self) -> float:
        return 1.0

    def _terminated(self) -> bool:
        x, _, angle, _ = self._state
        return abs(x) > MAX_POSITION or abs(angle) > MAX_ANGLE

    def _read(self) -> None:
        (x, angle), (velocity, rate) = self._reader.read_plain()
        self._state = (x, velocity, angle, rate)

    def _set_python_state(self, state: dict[str, Any]) -> None:
        del state  # Everything is in the world.
        self._read()


def _checked(action: Floats32) -> float:
    """Return the one number of ``action``.

    Raises:
        SimulationError: It has another shape, or is not finite.
    """
    if getattr(action, "shape", None) != (1,):
        try:
            action = np.asarray(action, dtype=np.float64)
        except (TypeError, ValueError):
            raise SimulationError(f"an action must be one number, but is {action!r}.") from None
        if action.shape != (1,):
            raise SimulationError(
                f"an action must have shape (1,), but has shape {action.shape}: {action!r}."
            )
    value = float(action[0])
    if not math.isfinite(value):
        raise SimulationError(f"an action must be finite and in [-1, 1], but is {value}.")
    return value
