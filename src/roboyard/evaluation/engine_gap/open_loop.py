"""The same torques, and the same actions, in several engines."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from roboyard.envs.task_env import TaskEnv
from roboyard.sim.bodies import BaseState
from roboyard.sim.rows import Floats

DIVERGED = 0.05
"""Root mean square of joint differences [rad] or [m] at which engines count as diverged."""
_HEIGHT = 2.0
_SHARE = 0.05
_WEAKEST = 0.1
_TERM_TOLERANCE = 0.01


class OpenLoopGap(NamedTuple):
    """How far two engines drift apart under the same torques."""

    place: str
    """``air``: lifted and without gravity; ``contact``: where the task puts the robot."""
    times: list[float]
    """Since the start [s]."""
    errors: list[float]
    """Root mean square over joints at these times [rad] or [m]."""
    joints: dict[str, float]
    """Root mean square over time of each joint."""
    diverged: float | None
    """When the error passed ``DIVERGED`` first [s]; None if never."""


def open_loop(envs: list[TaskEnv], place: str, seconds: float, seed: int) -> OpenLoopGap:
    """Return the gap between the first two of ``envs`` under the same torques."""
    names = envs[0].robot.joint_names
    world = envs[0].world
    steps = max(int(seconds / world.config.call_period), 1)
    torques = _torques(envs[0], steps, seed)
    one, other = (_trajectory(env, place, torques, seed) for env in envs[:2])
    gaps = one - other
    errors = np.sqrt(np.mean(gaps**2, axis=1))
    times = (np.arange(steps) + 1) * world.config.call_period
    late = np.flatnonzero(~(errors <= DIVERGED))
    each = np.sqrt(np.mean(gaps**2, axis=0))
    return OpenLoopGap(
        place,
        times.tolist(),
        errors.tolist(),
        dict(zip(names, each.tolist(), strict=True)),
        float(times[late[0]]) if len(late) else None,
    )


def _torques(env: TaskEnv, steps: int, seed: int) -> Floats:
    """Return slow waves of a small share of each joint's effort limit, shape (steps, joints)."""
    generator = np.random.default_rng(seed)
    count = len(env.robot.joints)
    limits = np.array([joint.max_force for joint in env.robot.joints])
    size = np.where((limits > 0) & (limits < 1e3), limits * _SHARE, _WEAKEST)
    phases, rates = generator.uniform(0, 2 * np.pi, count), generator.uniform(0.5, 2.0, count)
    times = np.arange(steps)[:, None] * env.world.config.call_period
    waves: Floats = size * np.sin(2 * np.pi * rates * times + phases)
    return waves


def _trajectory(env: TaskEnv, place: str, torques: Floats, seed: int) -> Floats:
    env.reset(seed=seed)
    world, robot = env.world, env.robot
    joints = robot.joint_indices
    world.disable_motors(robot.body, joints)
    if place == "air":
        world.set_gravity((0.0, 0.0, 0.0))
        base: BaseState = world.base(robot.body)
        x, y, z = base.position
        world.set_base(robot.body, base._replace(position=(x, y, z + _HEIGHT)))
    write, read = world.torque_writer(robot.body, joints), world.joint_reader(robot.body, joints)
    rows = []
    for torque in torques.tolist():
        write(torque)
        world.step()
        rows.append(read()[0])
    return np.array(rows)


class TermGap(NamedTuple):
    """How a reward's term differs between two engines on the same actions."""

    name: str
    first_frame: int | None
    """First control step that differs; None if none does."""
    largest: float
    """Largest difference."""


def term_gaps(envs: list[TaskEnv], actions: Floats, seed: int) -> list[TermGap]:
    """Return each reward term's gap between the first two of ``envs`` on the same actions."""
    one, other = (_terms(env, actions, seed) for env in envs[:2])
    length = min(len(one), len(other))
    gaps = np.abs(one[:length] - other[:length])
    bounds = _TERM_TOLERANCE * np.maximum(1.0, np.abs(one[:length]))
    found = []
    for column, name in enumerate((*envs[0].rewards.values, "whole reward")):
        late = np.flatnonzero(gaps[:, column] > bounds[:, column])
        frame = int(late[0]) if len(late) else None
        found.append(TermGap(name, frame, float(gaps[:, column].max(initial=0.0))))
    return found


def _terms(env: TaskEnv, actions: Floats, seed: int) -> Floats:
    env.reset(seed=seed)
    rows = []
    for action in actions:
        _, reward, terminated, truncated, _ = env.step(action)
        rows.append([*env.rewards.values.values(), reward])
        if terminated or truncated:
            break
    return np.array(rows, dtype=np.float64)
