"""Bringing a link towards a pose."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from roboyard.sim.mujoco.engine import mujoco
from roboyard.sim.mujoco.parts import to_engine
from roboyard.sim.mujoco.simulation import Simulation
from roboyard.sim.settings import Quaternion, Vector

_ROUNDS = 20
_DAMPING = 1e-3
_NEAR = 1e-5


def pose_solver(
    sim: Simulation, body: int, link: int
) -> Callable[[Vector, Quaternion], dict[int, float]]:
    """Return a call that brings a link's centre of mass towards a pose by damped least squares."""
    rows = sim.rows[body]
    joints = [joint.index for joint in rows.part.joints if joint.is_movable]
    places, dofs, target = rows.positions[joints], rows.dofs[joints], rows.engine_body(link)

    def solve(position: Vector, orientation: Quaternion) -> dict[int, float]:
        model, data = sim.model, sim.scratch
        data.qpos[:] = sim.data.qpos
        moves, turns = np.zeros((3, model.nv)), np.zeros((3, model.nv))
        wanted, turned = np.array(to_engine(orientation)), np.zeros(4)
        error, difference = np.zeros(6), np.zeros(4)
        for _ in range(_ROUNDS):
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            error[:3] = position - data.xipos[target]
            mujoco.mju_mat2Quat(turned, data.ximat[target])
            turned[1:] *= -1
            mujoco.mju_mulQuat(difference, wanted, turned)
            mujoco.mju_quat2Vel(error[3:], difference, 1.0)
            if np.abs(error).max() < _NEAR:
                break
            mujoco.mj_jacBodyCom(model, data, moves, turns, target)
            jacobian = np.vstack([moves[:, dofs], turns[:, dofs]])
            weighted = jacobian @ jacobian.T + _DAMPING * np.eye(6)
            data.qpos[places] += jacobian.T @ np.linalg.solve(weighted, error)
        return dict(zip(joints, data.qpos[places].tolist(), strict=True))

    return solve
