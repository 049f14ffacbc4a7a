"""Command terms: what the robot is asked to do, drawn anew every now and then.

A command is a class ``Class(setup, **params)``. ``reset(context)`` starts an episode;
``__call__(context)`` returns the command for the next control step, after the reward of the last
one was computed, so that the policy is rewarded for the command that it saw. Parameters stand in
``params``, so that a curriculum can change them. Times are in seconds.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from roboyard.config.distributions import Distribution, Uniform, smallest
from roboyard.envs.managers.registry import TermSetup, commanding
from roboyard.envs.managers.sampling import draw_one
from roboyard.envs.mdp.geometry import wrapped
from roboyard.robots import RobotState
from roboyard.robots.reading import BASE_POSE

Floats = NDArray[np.float64]
Share = Annotated[float, Field(ge=0.0, le=1.0)]

_HEADING_GAIN = 0.5
_MAX_TURNING = 1.0
_ONE = Uniform(low=-1.0, high=1.0)


class CommandContext(NamedTuple):
    """What a command may know and draw from."""

    state: RobotState
    """The record of the control step that just ended."""
    generator: np.random.Generator
    """The environment's generator: draw from nothing else."""


class Resampled:
    """A command that is drawn at the reset, and again after an interval; a base class."""

    def __init__(self, setup: TermSetup, params: dict[str, Any]) -> None:
        """Keep the parameters, ``interval_s`` [s] among them."""
        self.params = params
        self._period = setup.control_period
        self._steps_left = 0
        self.was_drawn = False
        """Whether the command was drawn anew in the last call."""

    def draw(self, context: CommandContext) -> None:
        """Draw the command."""
        raise NotImplementedError

    def value(self, context: CommandContext) -> Floats:
        """Return the command for the next control step."""
        raise NotImplementedError

    def reset(self, context: CommandContext) -> Floats:
        """Start an episode."""
        self._steps_left = 0
        return self(context)

    def __call__(self, context: CommandContext) -> Floats:
        """Return the command for the next control step."""
        self.was_drawn = self._steps_left <= 0
        if self.was_drawn:
            self.draw(context)
            interval = draw_one(self.params["interval_s"], context.generator)
            self._steps_left = max(1, round(interval / self._period))
        self._steps_left -= 1
        return self.value(context)


@commanding(
    BASE_POSE, name="velocity", unit="m/s, m/s, rad/s", labels=("forward", "sideways", "turning")
)
class Velocity(Resampled):
    """Forward and sideways velocity in body axes [m/s], and turning speed [rad/s].

    Source: legged_gym (Rudin et al. 2022), Isaac Lab's UniformVelocityCommand.
    """

    def __init__(
        self,
        setup: TermSetup,
        *,
        forward: Distribution = _ONE,
        sideways: Distribution = _ONE,
        turning: Distribution = _ONE,
        interval_s: Distribution = 10.0,
        standing_share: Share = 0.0,
        heading: Distribution | None = None,
    ) -> None:
        """Keep the ranges.

        Args:
            setup: What the term may know.
            forward: Forward velocity [m/s].
            sideways: Velocity to the left [m/s].
            turning: Turning speed, anticlockwise seen from above [rad/s].
            interval_s: Time after which it is drawn anew [s].
            standing_share: Probability that all three are 0 instead.
            heading: Direction to face [rad], instead of ``turning``: the turning speed is then
                half of the angle that is left, at most 1 rad/s.
        """
        super().__init__(
            setup,
            {
                "forward": forward,
                "sideways": sideways,
                "turning": turning,
                "interval_s": interval_s,
                "standing_share": standing_share,
                "heading": heading,
            },
        )
        self._command: Floats = np.zeros(3)
        self._heading: float | None = None

    def draw(self, context: CommandContext) -> None:
        """Draw velocities, or zeros; always the same number of draws."""
        generator, params = context.generator, self.params
        stands = float(generator.random()) < params["standing_share"]
        names = ("forward", "sideways", "turning")
        drawn = np.array([draw_one(params[name], generator) for name in names])
        heading = None if params["heading"] is None else draw_one(params["heading"], generator)
        self._command = np.zeros(3) if stands else drawn
        self._heading = None if stands else heading

    def value(self, context: CommandContext) -> Floats:
        """Return the velocities; the turning speed follows the heading, if there is one."""
        command = self._command.copy()
        if self._heading is not None:
            error = wrapped(self._heading - context.state.base_euler[2])
            command[2] = min(max(_HEADING_GAIN * error, -_MAX_TURNING), _MAX_TURNING)
        return command

    def get_state(self) -> dict[str, Any]:
        """Return what snapshots need."""
        return {
            "command": self._command,
            "heading": self._heading,
            "steps_left": self._steps_left,
        }

    def set_state(self, state: Any) -> None:  # noqa: ANN401
        """Take over what ``get_state`` returned."""
        self._command = state["command"]
        self._heading = state["heading"]
        self._steps_left = state["steps_left"]


@commanding(BASE_POSE, name="point", unit="m", labels=("x", "y", "z"))
class Point(Resampled):
    """A point to go to, in the world's frame [m]."""

    def __init__(
        self,
        setup: TermSetup,
        *,
        x: Distribution,
        y: Distribution,
        z: Distribution = 0.0,
        interval_s: Distribution = 10.0,
        from_start: bool = False,
        low_share: Share = 0.0,
    ) -> None:
        """Keep the ranges.

        Args:
            setup: What the term may know.
            x: Where along x [m].
            y: Where along y [m].
            z: Where along z [m].
            interval_s: Time after which it is drawn anew [s].
            from_start: Measure x and y from where the base link began.
            low_share: Probability that z is the smallest of its range instead, as for a thing
                that is to lie on a table.
        """
        ranges = {"x": x, "y": y, "z": z, "interval_s": interval_s, "from_start": from_start}
        super().__init__(setup, {**ranges, "low_share": low_share})
        self._point: Floats = np.zeros(3)

    def draw(self, context: CommandContext) -> None:
        """Draw the point."""
        self._point = np.array([draw_one(self.params[a], context.generator) for a in "xyz"])
        share = self.params["low_share"]
        if share and context.generator.random() < share:
            self._point[2] = smallest(self.params["z"])
        if self.params["from_start"]:
            self._point[:2] += context.state.initial_base_position[:2]

    def value(self, context: CommandContext) -> Floats:
        """Return the point."""
        del context  # Unused.
        return self._point.copy()

    def get_state(self) -> dict[str, Any]:
        """Return what snapshots need."""
        return {"point": self._point, "steps_left": self._steps_left}

    def set_state(self, state: Any) -> None:  # noqa: ANN401
        """Take over what ``get_state`` returned."""
        self._point = state["point"]
        self._steps_left = state["steps_left"]


@commanding(name="gait_clock")
class GaitClock:
    """Sine and cosine of each foot's phase in a periodic gait, shape (2 * feet,).

    A foot should be on the ground while its sine is positive. Source: Siekmann et al. 2021
    ("Sim-to-Real Learning of All Common Bipedal Gaits"), "Walk These Ways".
    """

    was_drawn = False

    def __init__(
        self,
        setup: TermSetup,
        period_s: Distribution = 0.5,
        offsets: tuple[float, ...] = (0.0, 0.5, 0.5, 0.0),
        random_start: bool = True,
    ) -> None:
        """Keep the rhythm.

        Args:
            setup: What the term may know.
            period_s: Time of one cycle, drawn at the reset [s].
            offsets: Phase of each foot, as a share of the cycle; the default is a trot.
            random_start: Begin anywhere in the cycle.
        """
        self.params: dict[str, Any] = {"period_s": period_s, "random_start": random_start}
        self._step = setup.control_period
        self._offsets = np.array(offsets)
        self._phase = 0.0
        self._cycle = 1.0

    def reset(self, context: CommandContext) -> Floats:
        """Draw period and start."""
        self._cycle = max(draw_one(self.params["period_s"], context.generator), self._step)
        start = float(context.generator.random())
        self._phase = start if self.params["random_start"] else 0.0
        return self._value()

    def __call__(self, context: CommandContext) -> Floats:
        """Let the clock go on by one control step."""
        del context  # Unused.
        self._phase = (self._phase + self._step / self._cycle) % 1.0
        return self._value()

    def _value(self) -> Floats:
        angles = math.tau * (self._phase + self._offsets)
        value = np.empty(2 * len(angles))
        value[0::2] = np.sin(angles)
        value[1::2] = np.cos(angles)
        return value

    def get_state(self) -> dict[str, Any]:
        """Return what snapshots need."""
        return {"phase": self._phase, "cycle": self._cycle}

    def set_state(self, state: Any) -> None:  # noqa: ANN401
        """Take over what ``get_state`` returned."""
        self._phase, self._cycle = state["phase"], state["cycle"]
