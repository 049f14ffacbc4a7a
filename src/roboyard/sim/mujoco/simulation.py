"""The compiled model, its data, and what is changed in them and must be kept.

Bodies are only ever added at the end, so that numbers of the engine's rows never change: after
compiling anew, the present state and settings are the first part of each array.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboyard.errors import SimulationError
from roboyard.sim.mujoco.engine import mujoco
from roboyard.sim.mujoco.parts import BodyPart, part_name
from roboyard.sim.rows import BASE, Floats
from roboyard.sim.settings import WorldConfig

Integers = NDArray[np.int64]

STATE = int(mujoco.mjtState.mjSTATE_INTEGRATION)
SETTINGS = (
    *("body_mass", "body_inertia", "body_pos", "body_quat", "body_subtreemass"),
    *("body_invweight0", "dof_invweight0", "dof_M0", "dof_damping", "dof_frictionloss"),
    *("geom_friction", "geom_condim", "jnt_range", "jnt_limited", "actuator_acc0"),
    *("actuator_gainprm", "actuator_biasprm", "actuator_forcerange", "actuator_forcelimited"),
)
"""Fields of the model that a world changes, and those that follow from them."""


@dataclass(frozen=True)
class BodyRows:
    """Where a body's numbers stand in the engine's arrays."""

    part: BodyPart
    base: int
    """The engine's body of the base."""
    links: Integers
    """The engine's bodies of the links, shape (links,)."""
    positions: Integers
    """Rows of joint positions, -1 for fixed joints, shape (joints,)."""
    dofs: Integers
    """Rows of joint velocities, -1 for fixed joints, shape (joints,)."""
    motors: Integers
    """Rows of motors, -1 for fixed joints, shape (joints,)."""
    engine_joints: Integers
    """The engine's joints, -1 for fixed ones, shape (joints,)."""
    free_position: int
    """First row of the base's pose in the positions; -1 if it is fixed."""
    free_dof: int
    """First row of the base's velocity."""

    def engine_body(self, link: int) -> int:
        """Return the engine's body of a link; -1 is the base."""
        return self.base if link == BASE else int(self.links[link])


@dataclass
class Saved:
    """A state of the world."""

    state: Floats
    settings: dict[str, NDArray[Any]]
    efforts: Floats
    """Of the motors in the last step."""


class Simulation:
    """A model that grows, and the data of its present state."""

    def __init__(self, config: WorldConfig) -> None:
        """Begin without bodies."""
        self.config = config
        self.parts: list[BodyPart] = []
        self.rows: list[BodyRows] = []
        self.closed = False
        self.model, self.data = self._compiled()
        self.scratch = mujoco.MjData(self.model)
        self.is_stale = True
        """Whether positions moved since the engine computed what follows from them."""
        self._index()

    def add(self, part: BodyPart) -> int:
        """Add a body and return its number.

        Raises:
            ValueError: The engine refuses it; nothing has changed then.
        """
        self.parts.append(part)
        try:
            model, data = self._compiled()
        except BaseException:
            self.parts.pop()
            raise
        old_model, old = self.model, self.data
        for name in SETTINGS:
            kept = getattr(old_model, name)
            getattr(model, name)[: len(kept)] = kept
        model.opt.gravity[:] = old_model.opt.gravity
        for name in ("qpos", "qvel", "qacc_warmstart", "ctrl", "qfrc_applied", "xfrc_applied"):
            kept = getattr(old, name)
            getattr(data, name)[: len(kept)] = kept
        data.time = old.time
        self.model, self.data = model, data
        self.scratch = mujoco.MjData(model)
        self.is_stale = True
        self._index()
        return len(self.parts) - 1

    def _compiled(self) -> tuple[Any, Any]:
        spec = mujoco.MjSpec()
        spec.compiler.degree = False
        spec.compiler.autolimits = False
        spec.compiler.balanceinertia = False
        spec.option.timestep = self.config.time_step
        spec.option.gravity = list(self.config.gravity)
        spec.option.iterations = max(self.config.solver_iterations, 1)
        spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        if self.config.contact_erp is not None:
            spec.default.geom.solref = [self._contact_time(self.config.contact_erp), 1.0]
        # A world that breaks down is told so by its numbers, not set back behind our back.
        spec.option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
        for number, part in enumerate(self.parts):
            part.add(spec, number)
        model = spec.compile()
        return model, mujoco.MjData(model)

    def _contact_time(self, share: float) -> float:
        """Return the time in which contacts lose their depth, given the share in one step.

        The engine is stable from two steps on.
        """
        step = self.config.time_step
        return max(2 * step, -step / math.log1p(-share)) if share < 1 else 2 * step

    def _index(self) -> None:
        self.rows = [self._rows_of(number, part) for number, part in enumerate(self.parts)]
        self.body_of: Integers = np.full(self.model.nbody, -1)
        self.link_of: Integers = np.full(self.model.nbody, BASE)
        for number, rows in enumerate(self.rows):
            self.body_of[rows.base] = number
            self.body_of[rows.links] = number
            self.link_of[rows.links] = np.arange(len(rows.links))
        self.signature = self._signature()

    def _rows_of(self, number: int, part: BodyPart) -> BodyRows:
        model, kinds = self.model, mujoco.mjtObj
        names = [part_name(number, joint.index) for joint in part.joints]
        joints = np.array(
            [mujoco.mj_name2id(model, kinds.mjOBJ_JOINT, name) for name in names], np.int64
        )
        free = mujoco.mj_name2id(model, kinds.mjOBJ_JOINT, part_name(number))
        return BodyRows(
            part=part,
            base=mujoco.mj_name2id(model, kinds.mjOBJ_BODY, part_name(number)),
            links=np.array(
                [mujoco.mj_name2id(model, kinds.mjOBJ_BODY, name) for name in names], np.int64
            ),
            positions=_rows(model.jnt_qposadr, joints),
            dofs=_rows(model.jnt_dofadr, joints),
            motors=np.array(
                [mujoco.mj_name2id(model, kinds.mjOBJ_ACTUATOR, name) for name in names], np.int64
            ),
            engine_joints=joints,
            free_position=int(model.jnt_qposadr[free]) if free >= 0 else -1,
            free_dof=int(model.jnt_dofadr[free]) if free >= 0 else -1,
        )

    def _signature(self) -> str:
        """Return a hash of the model as it was compiled, without what a world changes in it."""
        model = self.model
        digest = hashlib.sha256()
        for name in ("body_parentid", "body_ipos", "body_iquat", "jnt_type", "jnt_axis", "jnt_pos",
                     "geom_type", "geom_size", "geom_pos", "geom_contype", "geom_conaffinity",
                     "dof_armature", "eq_data", "hfield_data", "mesh_vert", "qpos0"):  # fmt: skip
            digest.update(np.ascontiguousarray(getattr(model, name)).tobytes())
        digest.update(repr((model.opt.timestep, model.opt.iterations)).encode())
        return digest.hexdigest()

    # The present state.

    def refresh(self) -> Any:  # noqa: ANN401
        """Return the data, with poses and velocities of bodies that fit the positions."""
        if self.is_stale:
            mujoco.mj_kinematics(self.model, self.data)
            mujoco.mj_comPos(self.model, self.data)
            mujoco.mj_comVel(self.model, self.data)
            self.is_stale = False
        return self.data

    def probe(self) -> Any:  # noqa: ANN401
        """Return other data in the present state, with its contacts, that may be played with."""
        self.scratch.qpos[:] = self.data.qpos
        mujoco.mj_fwdPosition(self.model, self.scratch)
        return self.scratch

    def save(self) -> Saved:
        """Return the present state."""
        state = np.empty(mujoco.mj_stateSize(self.model, STATE))
        mujoco.mj_getState(self.model, self.data, state, STATE)
        settings = {name: getattr(self.model, name).copy() for name in SETTINGS}
        settings["gravity"] = self.model.opt.gravity.copy()
        settings["meaninertia"] = np.array([self.model.stat.meaninertia])
        return Saved(state, settings, self.data.qfrc_actuator.copy())

    def load(self, saved: Saved) -> None:
        """Go to a state.

        Raises:
            SimulationError: It is of a world with fewer or more bodies.
        """
        if len(saved.state) != mujoco.mj_stateSize(self.model, STATE):
            raise SimulationError("the state is of a world with other bodies.")
        for name in SETTINGS:
            getattr(self.model, name)[:] = saved.settings[name]
        self.model.opt.gravity[:] = saved.settings["gravity"]
        self.model.stat.meaninertia = float(saved.settings["meaninertia"][0])
        mujoco.mj_setState(self.model, self.data, saved.state, STATE)
        self.data.qfrc_actuator[:] = saved.efforts
        self.is_stale = True

    def derive(self) -> None:
        """Compute what follows from masses."""
        mujoco.mj_setConst(self.model, self.scratch)
        self.is_stale = True


def _rows(addresses: NDArray[Any], joints: Integers) -> Integers:
    found: Integers = np.where(joints >= 0, addresses[joints] if len(addresses) else -1, -1)
    return found.astype(np.int64)
