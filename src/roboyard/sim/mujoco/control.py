"""Motors: actuators with position and velocity feedback, whose damping is integrated implicitly.

Gains of the interface are shares of an error that one physics step removes. With the joint's
inertia ``m`` and the step ``h`` they become a stiffness ``gain * m / h^2`` and a damping
``gain * m / h``, times a factor that makes up for the step in which an implicit damping only
removes ``1 / (1 + factor)`` of what a rigid motor would leave.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roboyard.errors import SimulationError
from roboyard.sim.mujoco.simulation import Simulation
from roboyard.sim.rows import Floats
from roboyard.sim.world import Numbers

POSITION_GAIN, VELOCITY_GAIN = 0.1, 1.0
"""What counts where a command names no gains."""
_RIGIDITY = 4.0


def drive(  # noqa: PLR0917
    sim: Simulation,
    body: int,
    joints: Sequence[int],
    positions: Numbers | None,
    velocities: Numbers | None,
    forces: Numbers | None,
    gains: tuple[Numbers | None, Numbers | None],
) -> None:
    """Command the motors of ``joints``.

    Raises:
        SimulationError: The numbers of values differ.
    """
    rows, model, count = sim.rows[body], sim.model, len(joints)
    chosen = list(joints)
    motors, dofs = rows.motors[chosen], rows.dofs[chosen]
    if (motors < 0).any():
        raise SimulationError(f"body {body}: a fixed joint has no motor.")
    step = sim.config.time_step
    inertia = _RIGIDITY / np.maximum(model.dof_invweight0[dofs], 1e-12)
    stiffness = np.zeros(count)
    if positions is not None:
        stiffness = _column(gains[0], count, POSITION_GAIN) * inertia / step**2
    damping = _column(gains[1], count, VELOCITY_GAIN) * inertia / step
    limits = _column(forces, count, np.inf)
    damping[limits == 0] = 0.0
    stiffness[limits == 0] = 0.0
    model.actuator_biasprm[motors, 1] = -stiffness
    model.actuator_biasprm[motors, 2] = -damping
    model.actuator_forcelimited[motors] = np.isfinite(limits)
    bounded = np.where(np.isfinite(limits), limits, 0.0)
    model.actuator_forcerange[motors] = np.stack([-bounded, bounded], axis=-1)
    sim.data.ctrl[motors] = (
        stiffness * _column(positions, count, 0.0) + damping * _column(velocities, count, 0.0)
    )  # fmt: skip


def _column(values: Numbers | None, count: int, default: float) -> Floats:
    if values is None:
        return np.full(count, default)
    column = np.array(values, dtype=np.float64)
    if column.shape != (count,):
        raise SimulationError(f"{count} joints were named, but {column.size} values given.")
    return column
