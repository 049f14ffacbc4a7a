"""What is seen, rewarded and ended, for all rows of a batch at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboyard.config.native import Healthy, NativeTask, Range
from roboyard.sim.mujoco.native import NativeModel
from roboyard.sim.rows import Floats

Tables = dict[str, Floats]


class NativeTerms:
    """A task's terms, bound to its model."""

    def __init__(self, task: NativeTask, model: NativeModel) -> None:
        """Find out which of the engine's fields are read."""
        self.task, self.model = task, model
        self.period = model.time_step * task.frame_skip
        fields: set[str] = {"qpos", "qvel", *(part.field for part in task.observations)}
        fields |= {"cfrc_ext"} if task.rewards.contact else set()
        fields |= {"body": {"xpos"}, "mass center": {"xipos"}}.get(task.rewards.forward_of, set())
        self.fields: tuple[str, ...] = tuple(sorted(fields))
        masses = model.engine.body_mass[:, None]
        self._masses, self._mass = masses, np.sum(masses)

    def tables(self, rows: int, data: Any) -> Tables:  # noqa: ANN401
        """Return tables for the fields of ``rows`` environments."""
        return {name: np.zeros((rows, *getattr(data, name).shape)) for name in self.fields}

    def observe(self, tables: Tables) -> Floats:
        """Return observations, shape (environments, entries)."""
        parts = []
        for part in self.task.observations:
            values = tables[part.field][:, part.skip :]
            values = values.reshape(len(values), -1)
            parts.append(values if part.clip is None else np.clip(values, *part.clip))
        return np.concatenate(parts, axis=1)

    def forward(self, tables: Tables) -> Floats:
        """Return where the robots are along x [m], shape (environments,)."""
        of = self.task.rewards.forward_of
        if of == "position":
            return tables["qpos"][:, 0].copy()
        if of == "body":
            return tables["xpos"][:, 1, 0].copy()
        found: Floats = np.sum(self._masses * tables["xipos"], axis=1)[:, 0] / self._mass
        return found

    def healthy(self, tables: Tables) -> NDArray[np.bool_]:
        """Return which robots are well."""
        rules, positions = self.task.healthy, tables["qpos"]
        well = np.ones(len(positions), bool)
        if rules is None:
            return well
        if rules.finite:
            well &= np.isfinite(positions).all(axis=1) & np.isfinite(tables["qvel"]).all(axis=1)
        if rules.height is not None:
            well &= _within(positions[:, rules.height_row], rules.height, closed=rules.finite)
        if rules.angle is not None:
            well &= _within(positions[:, 2], rules.angle)
        return well & self._bounded(tables, rules)

    def _bounded(self, tables: Tables, rules: Healthy) -> NDArray[np.bool_]:
        if rules.state is None:
            return np.ones(len(tables["qpos"]), bool)
        state = np.concatenate([tables["qpos"][:, 2:], tables["qvel"]], axis=1)
        found: NDArray[np.bool_] = np.asarray(_within(state, rules.state).all(axis=1))
        return found

    def reward(
        self,
        tables: Tables,
        actions: NDArray[Any],
        before: Floats,
        well: NDArray[np.bool_],
    ) -> tuple[Floats, Floats]:
        """Return rewards and where the robots are now along x, each of shape (environments,)."""
        weights, after = self.task.rewards, self.forward(tables)
        gained = weights.forward * ((after - before) / self.period)
        if weights.alive:
            gained = gained + well * weights.alive
        if weights.control_of == "ctrl":
            actions = actions.astype(np.float64)
        costs: Any = weights.control * np.sum(np.square(actions), axis=1)
        if weights.contact:
            costs = costs + self._contact_cost(tables["cfrc_ext"])
        return gained - costs, after

    def _contact_cost(self, forces: Floats) -> Floats:
        weights = self.task.rewards
        if weights.contact_clip is not None:
            forces = np.clip(forces, *weights.contact_clip)
        squares = np.square(forces).reshape(len(forces), -1)
        cost: Floats = weights.contact * np.sum(squares, axis=1)
        return cost if weights.contact_limit is None else np.minimum(cost, weights.contact_limit)


def _within(values: Floats, bounds: Range, *, closed: bool = False) -> NDArray[np.bool_]:
    low, high = bounds
    inside = np.ones(values.shape, bool)
    if low is not None:
        inside &= low <= values if closed else low < values
    if high is not None:
        inside &= values <= high if closed else values < high
    return inside
