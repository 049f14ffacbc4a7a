"""TaskEnv: an environment put together from a robot spec and lists of terms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from gymnasium.spaces import Box, Space
from numpy.typing import NDArray

from roboyard.config.tasks import TaskConfig
from roboyard.envs.base import BaseRobotEnv
from roboyard.envs.goal import ACHIEVED, DESIRED, Goal, check_reach
from roboyard.envs.managers.binding import BoundTerm
from roboyard.envs.managers.curriculum import CurriculumManager, Episode
from roboyard.envs.managers.managers import (
    EventManager,
    MetricManager,
    RewardManager,
    TerminationManager,
)
from roboyard.envs.managers.memory import CommandManager, Memories
from roboyard.envs.managers.observation import Observation, ObservationManager
from roboyard.envs.managers.registry import EventContext, TermSetup
from roboyard.envs.managers.sensor_model import Channel
from roboyard.envs.managers.trial import try_terms
from roboyard.envs.managers.tunables import make_knobs
from roboyard.envs.markers import Markers
from roboyard.envs.naming import named_entries
from roboyard.envs.scene import Scene, load_scene
from roboyard.envs.tasks import load_task
from roboyard.errors import SimulationError
from roboyard.robots import RobotState
from roboyard.sim import Camera, WorldConfig

Floats = NDArray[np.floating]
# Arrays of no dimension, because numpy converts scalars at every call.
_LOW, _HIGH = np.array(-1.0), np.array(1.0)


class TaskEnv(BaseRobotEnv[Observation, Floats]):
    """A task as an environment.

    ``info`` holds ``reward_terms`` (every term's weighted value in this step), and at the end of
    an episode ``episode_reward_terms`` (their sums), ``terminated_by`` (names of the terms that
    ended it) and ``episode_metrics``; ``is_success`` if the task knows success; ``is_unstable``
    if the physics gave numbers that are not finite, which ends the episode. What was drawn is in
    ``events``, ``sensors``, ``acting`` and ``commands``, at the reset and whenever it is drawn
    anew; ``curricula`` holds the levels.

    With a goal there is ``compute_reward(achieved_goal, desired_goal, info)``, for one goal or
    many, as hindsight experience replay needs it.

    Example:
        >>> env = TaskEnv("hopper-run", overrides={"rewards": {"alive": {"weight": 2}}})
        >>> env.reset(seed=0)[0].shape
        (15,)
    """

    def __init__(
        self,
        task: str | Path | Mapping[str, object] | TaskConfig,
        *,
        overrides: Mapping[str, object] | None = None,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
    ) -> None:
        """Load the task's robot and bind its terms.

        Args:
            task: Name in the library, YAML file, mapping or record.
            overrides: Nested mapping that is laid over the task.
            render_mode: ``"rgb_array"`` for pictures, ``"human"`` for PyBullet's window, or None.
            max_episode_steps: Control steps after which an episode is truncated; by default the
                task's own.

        Raises:
            ConfigError: The task is wrong.
            RobotDescriptionError: The robot is wrong, or a term does not fit it.
        """
        self.task = load_task(task, overrides)
        super().__init__(
            render_mode=render_mode,
            world=WorldConfig(**self.task.world.model_dump()),
            substeps=self.task.substeps,
            max_episode_steps=(
                self.task.max_episode_steps if max_episode_steps is None else max_episode_steps
            ),
        )

    # Hooks of BaseRobotEnv.

    def _load(self) -> None:
        task = self.task
        self.scene: Scene = load_scene(self.world, task)
        self.robot = self.scene.robot
        setup = TermSetup(
            self.robot, self.control_period, tuple(task.objects), tuple(task.commands)
        )
        self.commands = CommandManager(task.commands, setup)
        self.observations = ObservationManager(task.observations, setup, task.clip_observations)
        self.rewards = RewardManager(task.rewards, setup)
        self.terminations = TerminationManager(task.terminations, setup)
        self.events = EventManager(task.events, setup)
        self.metrics = MetricManager(task.metrics, setup)
        self._markers = Markers(self.world, self.scene.things, task.objects)
        terms = self.terms()
        check_reach(self.robot, terms)
        self.memories = Memories(
            {name: group for name, group in terms.items() if name != "commands"}
        )
        self.acting = None if task.acting is None else Channel(task.acting)
        self.curricula = CurriculumManager(
            task.curricula, make_knobs(terms, self.rewards, self._channels()), self.rewards.names
        )
        self.state = RobotState(
            self.robot,
            control_period=self.control_period,
            grounds=self.scene.grounds,
            things=self.scene.things,
            parts=frozenset().union(*(t.info.reads for group in terms.values() for t in group)),
        )
        self.state.ground_height = self.scene.height_at
        self.state.begin()
        self.commands.reset(self.state, np.random.default_rng(0))
        self.memories.reset(self.state)
        try_terms(terms, self.state)
        self.observations.measure(self.state)
        self.observation_space = cast("Space[Observation]", self.observations.space())
        self.goal = None if task.goal is None else Goal(task.goal, self.observation_space)
        if self.goal is not None:
            # Only where there is a goal: checkers tell goal environments by it.
            self.compute_reward = self._compute_reward
        self._size = self.robot.num_actions
        self._shape = (self._size,)
        self.action_space = Box(-1.0, 1.0, (self._size,), np.float32)
        self._knows_success = self.goal is not None or bool(self.terminations.successes)
        self._is_over = self._is_unstable = self._is_achieved = False
        self._gained = 0.0
        self._drawn: dict[str, Any] = {}

    def terms(self) -> dict[str, list[BoundTerm]]:
        """Return the task's terms, by list."""
        return {
            "commands": self.commands.terms,
            "observations": self.observations.terms,
            "rewards": self.rewards.terms,
            "terminations": self.terminations.terms,
            "events": self.events.terms,
            "metrics": self.metrics.terms,
        }

    def try_events(self) -> None:
        """Let every event happen once, those of later steps too; the next reset undoes it all.

        Raises:
            RoboyardError: One cannot happen; the message names it.
        """
        self.reset(seed=0)
        self.events.try_all(self._context())

    @property
    def observation_names(self) -> dict[str, tuple[str, ...]] | tuple[str, ...]:
        """What each entry of an observation is, such as ``joints.hip_1 [rad]``; by group."""
        groups = named_entries(self)
        names = {
            group: tuple(f"{e.name} [{e.unit}]" if e.unit else e.name for e in entries)
            for group, entries in groups.items()
        }
        return names if len(names) > 1 else next(iter(names.values()))

    @property
    def action_names(self) -> tuple[str, ...]:
        """What each entry of the action drives, mostly a joint."""
        return self.robot.action_names

    def _reset(self, options: Mapping[str, Any]) -> None:
        del options  # Unused.
        generator = self.np_random
        self.curricula.update()
        for actuator in self.robot.actuators:
            actuator.reset()
        self.state.encoder_offsets = np.zeros(len(self.robot.joints))
        self.events.reset(self._context())
        self.state.begin()
        self.commands.reset(self.state, generator)
        self._markers.place(self.state)
        self.memories.reset(self.state)
        self.rewards.reset()
        self.metrics.reset()
        self.terminations.reset()
        self._is_over = self._is_unstable = False
        self._drawn = {"sensors": self.observations.reset(generator)}
        if self.acting is not None:
            self.acting.use(generator)
            self._drawn["acting"] = self.acting.reset(self._size)

    def _apply(self, action: Floats) -> None:
        given = np.array(action, np.float64)
        if given.shape != self._shape:
            raise SimulationError(
                f"the action has shape {given.shape}, but ({self._size},) is needed: one entry "
                f"for each of {', '.join(self.robot.action_names)}."
            )
        if not math.isfinite(given.dot(given)):
            raise SimulationError(f"the action is not finite: {given}.")
        self.state.advance(given)
        if self.events.is_timed:
            self.events.tick(self._context(), self.state.step)
        limited = np.minimum(np.maximum(given, _LOW), _HIGH)
        if self.acting is not None:
            limited = np.clip(self.acting(limited), _LOW, _HIGH)
        self.robot.command(limited)

    def _simulate(self) -> None:
        drive, step = self.robot.drive, self.world.step
        for _ in range(self.substeps):
            drive()
            step()

    def _measure(self) -> None:
        self.state.read()
        # Before the observation: the reward belongs to the command that the policy acted on.
        gained = self.rewards.compute(self.state)
        self._gained = max(gained, 0.0) if self.task.positive_rewards else gained
        self._is_over = self.terminations.compute(self.state)
        if self.metrics.terms:
            self.metrics.compute(self.state)
        self.curricula.steps += 1
        if self.commands.terms:
            self.commands.advance(self.state, self.np_random)
            self._markers.place(self.state)

    def _observe(self) -> Observation:
        observation, self._is_unstable = self.observations.observe(self.state)
        if self.goal is not None:
            assert isinstance(observation, dict)
            pair = observation[ACHIEVED], observation[DESIRED]
            self._gained = float(self.goal.rewards(*pair))
            self._is_achieved = bool(self.goal.successes(*pair))
        return observation

    def _reward(self) -> float:
        return self._gained if math.isfinite(self._gained) else 0.0

    def _terminated(self) -> bool:
        # A reward that is not finite is a broken simulation as well.
        self._is_unstable = self._is_unstable or not math.isfinite(self._gained)
        self._is_over = self._is_over or self._is_unstable
        return self._is_over

    def _cut(self) -> bool:
        return self.terminations.is_cut and not self._is_over

    def _info(self) -> dict[str, Any]:
        if self._elapsed == 0:
            return self._first_info()
        info: dict[str, Any] = {"reward_terms": self.rewards.values}
        if self._knows_success:
            info["is_success"] = self._is_success()
        if self.events.happened:
            info["events"] = {name: self.events.drawn.get(name) for name in self.events.happened}
        if self.commands.terms and (changed := self.commands.changed()):
            info["commands"] = {name: self.state.commands[name].tolist() for name in changed}
        if self._is_over or self._elapsed >= self._limit or self._cut():
            self._note_end()
            info["episode_reward_terms"] = self.rewards.episode_shares()
            info["terminated_by"] = self.terminations.fired
            if self.metrics.terms:
                info["episode_metrics"] = self.metrics.report(self._elapsed)
            if self._is_unstable:
                info["is_unstable"] = True
        return info

    def _first_info(self) -> dict[str, Any]:
        info = {"events": self.events.drawn, **self._drawn}
        if self.commands.terms:
            info["commands"] = {name: row.tolist() for name, row in self.state.commands.items()}
        if self.task.curricula:
            info["curricula"] = dict(self.curricula.levels)
        return info

    def _note_end(self) -> None:
        steps = self._elapsed
        rows = zip(self.rewards.names, self.rewards.sums, self.rewards.weights, strict=True)
        means = {name: total / weight / steps if weight else 0.0 for name, total, weight in rows}
        length = steps / self._limit
        self.curricula.note(Episode(self._is_success(), length, means))

    def _is_success(self) -> bool:
        return self.terminations.is_success or (self.goal is not None and self._is_achieved)

    def _python_state(self) -> dict[str, Any]:
        channels = self._channels()
        return {
            "state": self.state.get_state(),
            "memories": self.memories.get_state(),
            "commands": {t.name: t.memory.get_state() for t in self.commands.terms if t.memory},
            "events": self.events.get_state(),
            "actuators": [actuator.get_state() for actuator in self.robot.actuators],
            "channels": {name: channel.get_state() for name, channel in channels.items()},
            "curricula": self.curricula.get_state(),
            "reward_sums": self.rewards.sums,
            "metrics": self.metrics.get_state(),
        }

    def _set_python_state(self, state: dict[str, Any]) -> None:
        self.curricula.set_state(state["curricula"])
        self.state.set_state(state["state"])
        self.memories.set_state(state["memories"])
        for term in self.commands.terms:
            if term.memory is not None:
                term.memory.set_state(state["commands"][term.name])
        self.events.set_state(state["events"])
        for actuator, numbers in zip(self.robot.actuators, state["actuators"], strict=True):
            actuator.set_state(numbers)
        for name, channel in self._channels().items():
            channel.use(self.np_random)
            channel.set_state(state["channels"][name])
        self.rewards.sums = list(state["reward_sums"])
        self.metrics.set_state(state["metrics"])
        self.terminations.reset()
        self._is_over = self._is_unstable = False

    def _camera(self) -> Camera:
        x, y, _ = self.state.base_position
        height = self.camera.target[2] + self.state.ground_height(x, y)
        return replace(self.camera, target=(x, y, height))

    # Private.

    def _compute_reward(
        self, achieved_goal: Floats, desired_goal: Floats, info: object
    ) -> Floats | float:
        """Return the rewards for having achieved some goals when others were desired.

        Args:
            achieved_goal: One goal, or many, shape (..., entries).
            desired_goal: As many.
            info: Not used; there because learners pass it.
        """
        del info  # Unused.
        assert self.goal is not None
        rewards = self.goal.rewards(achieved_goal, desired_goal)
        return rewards if rewards.ndim else float(rewards)

    def _context(self) -> EventContext:
        scene = self.scene
        return EventContext(
            self.robot, scene.things, self.np_random, self.state, scene.grounds, scene.terrain
        )

    def _channels(self) -> dict[str, Channel]:
        channels = {f"observations.{n}": c for n, c in self.observations.channels.items()}
        return channels if self.acting is None else {**channels, "acting": self.acting}
