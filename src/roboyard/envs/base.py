"""The base class of every environment that simulates a robot."""

from __future__ import annotations

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from roboyard.envs.episode_log import EpisodeLog
from roboyard.errors import ConfigError, SimulationError
from roboyard.registry import suggest
from roboyard.sim import Camera, WorldConfig, open_world
from roboyard.sim.snapshot import pack, unpack

logger = logging.getLogger(__name__)

ObservationT = TypeVar("ObservationT")
ActionT = TypeVar("ActionT")

Step: TypeAlias = tuple[ObservationT, float, bool, bool, dict[str, Any]]
"""Observation, reward, whether it terminated, whether it was truncated, info."""

_BEFORE_FIRST_RESET = -1


class BaseRobotEnv(gymnasium.Env[ObservationT, ActionT], ABC, Generic[ObservationT, ActionT]):
    """A robot environment: owns a world, steps it, renders it, saves and restores itself exactly.

    A subclass sets ``observation_space`` and ``action_space`` (in ``_load`` or before) and fills
    in these hooks; only the first four are required:

    - ``_load()``: put bodies into ``self.world``; called once.
    - ``_apply(action)``: command the robot for one control step.
    - ``_observe()``: return the observation.
    - ``_reward()``: return the reward of the control step that just ended.
    - ``_reset(options)``: vary the just-loaded state; draw from ``self.np_random`` only.
    - ``_terminated()``: return whether the episode ended by failure or success.
    - ``_cut()``: return whether the episode is cut off, which is neither; asked after it.
    - ``_info()``: return a new dictionary of further results.
    - ``_simulate()``: step the world ``self.substeps`` times.
    - ``_measure()``: take in what came of it, if reward, ends and observation share it.
    - ``_python_state()`` and ``_set_python_state(state)``: what the subclass keeps in attributes
      from one step to the next, so that a snapshot holds it; usable as soon as it is loaded.
    - ``_camera()``: where :meth:`render` looks from.

    A reset restores the state right after loading, which takes microseconds; nothing is reloaded.

    Example:
        >>> class Drop(BaseRobotEnv):
        ...     observation_space = gymnasium.spaces.Box(-9, 9, (1,))
        ...     action_space = gymnasium.spaces.Discrete(1)
        ...     def _load(self):
        ...         self.ball = self.world.add_shape(Shape("sphere", (0.1,), mass=1.0))
        ...     def _apply(self, action): pass
        ...     def _observe(self):
        ...         return np.float32([self.world.base(self.ball).position[2]])
        ...     def _reward(self): return 0.0
    """

    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array"], "render_fps": 30}  # noqa: RUF012
    counts_own_steps: ClassVar[bool] = True
    """Whether it ends its episodes at ``max_episode_steps`` itself, so that snapshots hold it."""
    camera: ClassVar[Camera] = Camera()
    """Where :meth:`render` looks from, unless ``_camera`` says otherwise."""

    def __init__(
        self,
        *,
        render_mode: str | None = None,
        world: WorldConfig | None = None,
        substeps: int = 1,
        max_episode_steps: int | None = None,
    ) -> None:
        """Open the world and load the robot.

        Args:
            render_mode: ``"rgb_array"`` for pictures, ``"human"`` for PyBullet's window, or None.
            world: Settings of the world.
            substeps: Calls of ``World.step`` in a control step.
            max_episode_steps: Control steps after which an episode is truncated; None for never.

        Raises:
            ConfigError: An argument is out of its range, or the subclass sets no spaces.
            RobotDescriptionError: The robot cannot be loaded.
            SimulationError: There is no display for ``"human"``.
        """
        _check_render_mode(render_mode, self.metadata["render_modes"])
        _check_count("substeps", substeps)
        settings = world or WorldConfig()
        if render_mode == "human" and not settings.gui:
            settings = WorldConfig(**{**vars(settings), "gui": True})
        self.render_mode = render_mode
        self.substeps = substeps
        self.max_episode_steps = max_episode_steps
        self._elapsed = _BEFORE_FIRST_RESET
        self._shown_at = 0.0
        self.world = open_world(settings)
        self.metadata = {**self.metadata, "render_fps": round(1 / self.control_period)}
        try:
            self._load()
            self._check_spaces()
            self._just_loaded = self.world.save()
            self._log = None if self.world.restores_exactly else EpisodeLog()
        except BaseException:
            self.world.close()
            raise

    @property
    def control_period(self) -> float:
        """Simulated time of one control step [s]."""
        return self.substeps * self.world.config.call_period

    @property
    def max_episode_steps(self) -> int | None:
        """Control steps after which an episode is truncated, None for never; can be set."""
        return None if math.isinf(self._limit) else int(self._limit)

    @max_episode_steps.setter
    def max_episode_steps(self, value: int | None) -> None:
        if value is not None:
            _check_count("max_episode_steps", value)
        self._limit: float = math.inf if value is None else value

    @property
    def elapsed_steps(self) -> int:
        """Control steps since the last reset."""
        return max(self._elapsed, 0)

    # Gymnasium's interface.

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObservationT, dict[str, Any]]:
        """Start an episode; see Gymnasium."""
        if seed is not None:
            super().reset(seed=seed)
        if self._log is not None:
            generator = self.np_random.bit_generator.state
            self._log.begin(generator, self._python_state(), options or {})
        self.world.restore(self._just_loaded)
        self._elapsed = 0
        self._reset(options or {})
        return self._observe(), self._info()

    def step(self, action: ActionT) -> Step[ObservationT]:
        """Make one control step; see Gymnasium.

        Raises:
            SimulationError: The action is unusable, the environment was never reset, or closed.
        """
        self._begin(action)
        self._simulate()
        self._measure()
        return self._finish()

    def render(self) -> NDArray[np.uint8] | None:
        """Return a picture of shape (height, width, 3) for ``"rgb_array"``, else None."""
        if self.render_mode == "rgb_array":
            return self.world.render(self._camera())
        if self.render_mode is None:
            gymnasium.logger.warn("render() does nothing: create it with render_mode='rgb_array'.")
        return None

    def close(self) -> None:
        """Close the world; closing twice does no harm."""
        self.world.close()

    # Exact states.

    def snapshot(self) -> bytes:
        """Return everything that the future depends on, good in any process.

        Restored by :meth:`restore`, the episode goes on bit for bit: bodies, contacts, motors,
        changed dynamics, random generator, step counter, and the subclass's own state.
        """
        state = {
            "environment": type(self).__qualname__,
            "control_period": self.control_period,
            "world": self.world.snapshot(),
            "motion": self.world.motion(),
            "generator": self.np_random.bit_generator.state,
            "seed": self._np_random_seed,
            "elapsed": self._elapsed,
            "python": self._python_state(),
            "episode": self._log and self._log.to_record(),
        }
        return pack("environment", state)

    def restore(self, data: bytes) -> str:
        """Go to the state of a :meth:`snapshot`.

        Where a link has several collision shapes, this repeats the episode's actions, because the
        engine cannot restore all contacts.

        Returns:
            Why the state is not exactly the saved one; empty if it is.

        Raises:
            SimulationError: The bytes are damaged, or belong to another environment.
        """
        state = unpack("environment", data)
        for name, mine in (
            ("environment", type(self).__qualname__),
            ("control_period", self.control_period),
        ):
            if state[name] != mine:
                raise SimulationError(
                    f"this snapshot has {name} {state[name]}, but this environment has {mine}. "
                    "Restore it into the environment that it was taken from."
                )
        problem = ""
        self.world.load_snapshot(state["world"])
        if state["episode"] and state["elapsed"] >= 0:
            self._repeat(EpisodeLog.from_record(state["episode"]))
            if self.world.motion() != state["motion"]:
                problem = "its repeated episode is close to the saved one, but not the same"
                logger.warning("%s", problem)
                self.world.load_snapshot(state["world"])
        self.np_random.bit_generator.state = state["generator"]
        self._np_random_seed = state["seed"]
        self._elapsed = state["elapsed"]
        self._take_python_state(state["python"])
        return problem

    def _take_python_state(self, state: dict[str, Any]) -> None:
        try:
            self._set_python_state(state)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise SimulationError(
                f"the state of {type(self).__name__} in this snapshot does not fit it "
                f"({type(error).__name__}: {error}). Was it taken with another version or other "
                "settings?"
            ) from error

    def _repeat(self, log: EpisodeLog) -> None:
        self.np_random.bit_generator.state = log.generator
        self._take_python_state(log.python_state)
        mode, self.render_mode = self.render_mode, None
        try:
            self.reset(options=log.options)
            for action in log.actions:
                self.step(action)
        finally:
            self.render_mode = mode

    # Hooks.

    @abstractmethod
    def _load(self) -> None:
        """Put bodies into ``self.world``; called once."""

    @abstractmethod
    def _apply(self, action: ActionT) -> None:
        """Command the robot for one control step."""

    @abstractmethod
    def _observe(self) -> ObservationT:
        """Return the observation of the present state."""

    @abstractmethod
    def _reward(self) -> float:
        """Return the reward of the control step that just ended."""

    def _reset(self, options: Mapping[str, Any]) -> None:
        """Vary the just-loaded state; draw from ``self.np_random`` only."""

    def _terminated(self) -> bool:
        """Return whether the episode ended by failure or success."""
        return False

    def _cut(self) -> bool:
        """Return whether the episode is cut off, before its step limit and not for failure."""
        return False

    def _info(self) -> dict[str, Any]:
        """Return a new dictionary of further results."""
        return {}

    def _simulate(self) -> None:
        """Step the world ``self.substeps`` times; override it to act before each."""
        step = self.world.step
        for _ in range(self.substeps):
            step()

    def _measure(self) -> None:
        """Take in what came of the step, before anything is asked of it."""

    def _python_state(self) -> dict[str, Any]:
        """Return what attributes hold from one step to the next; see ``sim.snapshot.pack``."""
        return {}

    def _set_python_state(self, state: dict[str, Any]) -> None:
        """Take over what ``_python_state`` returned; the world is restored already."""

    def _camera(self) -> Camera:
        """Return where :meth:`render` looks from."""
        return self.camera

    # Private.

    def _begin(self, action: ActionT) -> None:
        if self._elapsed < 0:
            raise SimulationError("step() was called before reset(). Call reset() first.")
        if self._log is not None:
            self._log.add(action)
        self._apply(action)

    def _finish(self) -> Step[ObservationT]:
        self._elapsed += 1
        if self.render_mode == "human":
            self._wait_for_real_time()
        observation, reward = self._observe(), self._reward()
        terminated = self._terminated()
        truncated = self._elapsed >= self._limit or self._cut()
        return observation, reward, terminated, truncated, self._info()

    def _check_spaces(self) -> None:
        for name in ("observation_space", "action_space"):
            if not isinstance(getattr(self, name, None), gymnasium.Space):
                raise ConfigError(
                    f"{type(self).__name__} sets no {name}. Set self.{name} to a Gymnasium space "
                    "in _load()."
                )

    def _wait_for_real_time(self) -> None:
        due = self._shown_at + self.control_period
        now = time.monotonic()
        if now < due:
            time.sleep(due - now)
        self._shown_at = max(due, now)


def _check_render_mode(mode: str | None, allowed: list[str]) -> None:
    if mode is not None and mode not in allowed:
        raise ConfigError(
            f"unknown render_mode '{mode}'. Allowed: {', '.join(allowed)}.{suggest(mode, allowed)}"
        )


def _check_count(name: str, value: int) -> None:
    if not isinstance(value, int) or value < 1:
        raise ConfigError(f"{name} is {value!r}; it must be a whole number of at least 1.")
