"""One environment of a native task; several of them step as one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from roboyard.config.native import NativeTask
from roboyard.envs.native.tasks import load_native_task, model_file
from roboyard.envs.native.terms import NativeTerms
from roboyard.errors import SimulationError
from roboyard.sim.mujoco.native import NativeSimulation, Stepper, native_model, read_into
from roboyard.sim.rows import Floats
from roboyard.sim.snapshot import pack, unpack

_KIND = "native environment"


class NativeEnv(gymnasium.Env[Floats, NDArray[Any]]):
    """A native task behind Gymnasium's interface, with exact snapshots.

    Example:
        >>> env = NativeEnv("hopper-v5")
        >>> env.reset(seed=0)[0].shape
        (11,)
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012
    counts_own_steps: ClassVar[bool] = True
    """Whether it ends its episodes at ``max_episode_steps`` itself, so that snapshots hold it."""

    def __init__(
        self,
        task: str | Path | Mapping[str, object] | NativeTask,
        *,
        overrides: Mapping[str, object] | None = None,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
    ) -> None:
        """Load the task's model.

        Args:
            task: Name in the library, YAML file, mapping or record.
            overrides: Nested mapping that is laid over the task.
            render_mode: None; native tasks draw no pictures.
            max_episode_steps: Control steps after which an episode is cut; the task's by default.

        Raises:
            ConfigError: The task is wrong.
            RobotDescriptionError: The model is wrong.
        """
        self.render_mode = render_mode
        self.task = load_native_task(task, overrides)
        self.max_episode_steps = max_episode_steps or self.task.max_episode_steps
        model = native_model(model_file(self.task.model))
        self.sim = NativeSimulation(model)
        self.terms = NativeTerms(self.task, model)
        self.elapsed = -1
        self._tables = self.terms.tables(1, self.sim.data)
        self._stepper = Stepper(1)
        low, high = model.control_range.astype(np.float32).T
        self.action_space = gymnasium.spaces.Box(low, high, dtype=np.float32)
        size = self.terms.observe(self._tables).shape[1]
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float64)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed, options=options)
        noise, draw, sim = self.task.reset, self.np_random, self.sim
        scale, model = noise.scale, sim.model.engine
        positions = sim.first_positions + draw.uniform(-scale, scale, model.nq)
        if noise.velocities == "normal":
            velocities = sim.first_velocities + scale * draw.standard_normal(model.nv)
        else:
            velocities = sim.first_velocities + draw.uniform(-scale, scale, model.nv)
        sim.reset(positions, velocities)
        self.elapsed = 0
        read_into(sim, self._tables, 0)
        return self.terms.observe(self._tables)[0], {}

    def step(self, action: NDArray[Any]) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Make a control step."""
        if self.elapsed < 0:
            raise SimulationError("step() was called before reset().")
        before = self.terms.forward(self.read())
        actions = np.asarray(action)[None]
        self._stepper.step([self.sim], actions, self.task.frame_skip, self._tables)
        self.elapsed += 1
        well = self.terms.healthy(self._tables)
        reward, _ = self.terms.reward(self._tables, actions, before, well)
        observation = self.terms.observe(self._tables)[0]
        return observation, float(reward[0]), not well[0], self.is_cut, {}

    @property
    def is_cut(self) -> bool:
        """Whether the episode has had all its steps."""
        return self.max_episode_steps is not None and self.elapsed >= self.max_episode_steps

    def read(self) -> dict[str, Floats]:
        """Return the present values of the fields that the task reads."""
        read_into(self.sim, self._tables, 0)
        return self._tables

    def snapshot(self) -> bytes:
        """Return the environment's whole state."""
        return pack(_KIND, {
            "elapsed": self.elapsed,
            "sim": self.sim.snapshot(self.terms.fields),
            "generator": self.np_random.bit_generator.state,
        })  # fmt: skip

    def restore(self, data: bytes) -> str:
        """Go to the state of a snapshot.

        Returns:
            Why the state is not exactly the saved one: always empty.

        Raises:
            SimulationError: It is damaged, or of another model or version of the engine.
        """
        state = unpack(_KIND, data)
        self.sim.restore(state["sim"])
        self.elapsed = state["elapsed"]
        self.np_random.bit_generator.state = state["generator"]
        return ""
