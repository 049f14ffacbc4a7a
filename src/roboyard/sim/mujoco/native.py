"""Many data of one model, stepped side by side on threads of this process.

Every environment has data of its own, so that its trajectory depends on nothing else: neither on
the number of threads nor on who is stepped beside it. The engine lets go of Python's lock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roboyard.errors import RobotDescriptionError, SimulationError
from roboyard.sim.mujoco.engine import mujoco
from roboyard.sim.mujoco.simulation import STATE
from roboyard.sim.rows import Floats
from roboyard.sim.snapshot import pack, unpack

_KIND = "native simulation"


class NativeModel:
    """A model as its file stands, shared by all who name it."""

    def __init__(self, file: Path) -> None:
        """Compile the file.

        Raises:
            RobotDescriptionError: The engine refuses it.
        """
        self.file = file
        try:
            self.engine: Any = mujoco.MjModel.from_xml_path(str(file))
        except ValueError as error:
            raise RobotDescriptionError(
                f"robot description '{file}': MuJoCo refuses it: {' '.join(str(error).split())}"
            ) from error
        size = mujoco.mj_sizeModel(self.engine)
        buffer = np.empty(size, np.uint8)
        mujoco.mj_saveModel(self.engine, None, buffer)
        self.digest = hashlib.sha256(buffer.tobytes()).hexdigest()

    @property
    def control_range(self) -> Floats:
        """Bounds of controls, shape (controls, 2)."""
        found: Floats = self.engine.actuator_ctrlrange.copy()
        return found

    @property
    def time_step(self) -> float:
        """Physics step [s]."""
        return float(self.engine.opt.timestep)


@lru_cache(maxsize=32)
def native_model(file: Path) -> NativeModel:
    """Return the model of a file; the same one for all who ask."""
    return NativeModel(file)


class NativeSimulation:
    """The data of one environment."""

    def __init__(self, model: NativeModel) -> None:
        """Begin at the model's own state."""
        self.model = model
        self.data: Any = mujoco.MjData(model.engine)
        self.first_positions: Floats = self.data.qpos.copy()
        self.first_velocities: Floats = self.data.qvel.copy()

    def reset(self, positions: Floats, velocities: Floats) -> None:
        """Begin anew at a state."""
        mujoco.mj_resetData(self.model.engine, self.data)
        self.data.qpos[:] = positions
        self.data.qvel[:] = velocities
        mujoco.mj_forward(self.model.engine, self.data)

    def snapshot(self, fields: Sequence[str]) -> bytes:
        """Return the state, and the present values of ``fields`` that follow from the last step."""
        row = np.empty(mujoco.mj_stateSize(self.model.engine, STATE))
        mujoco.mj_getState(self.model.engine, self.data, row, STATE)
        values = {name: getattr(self.data, name).copy() for name in fields}
        return pack(_KIND, {"version": mujoco.__version__, "spec": STATE,
                            "model": self.model.digest, "row": row, "fields": values})  # fmt: skip

    def restore(self, content: bytes) -> None:
        """Go to the state of a snapshot.

        Raises:
            SimulationError: It is of another version of the engine or of another model.
        """
        state = unpack(_KIND, content)
        own = {"version": mujoco.__version__, "spec": STATE, "model": self.model.digest}
        for name, value in own.items():
            if state[name] != value:
                raise SimulationError(
                    f"this snapshot is of MuJoCo's {name} {state[name]}, but here it is {value}: "
                    "it would go on otherwise. Use the one that it was taken with."
                )
        mujoco.mj_setState(self.model.engine, self.data, state["row"], STATE)
        for name, values in state["fields"].items():
            getattr(self.data, name)[...] = values


class Stepper:
    """Steps data in blocks, one a thread."""

    def __init__(self, threads: int) -> None:
        """Keep ``threads`` threads, the caller's among them."""
        self.threads = max(threads, 1)
        self._pool = ThreadPoolExecutor(self.threads - 1) if self.threads > 1 else None

    def step(
        self,
        sims: Sequence[NativeSimulation],
        actions: NDArray[Any],
        steps: int,
        tables: dict[str, Floats],
    ) -> None:
        """Make ``steps`` physics steps everywhere and fill ``tables``, one row an environment."""
        count, parts = len(sims), min(self.threads, len(sims))
        edges = [count * part // parts for part in range(parts + 1)]
        jobs = [
            self._pool.submit(_step_block, sims, actions, steps, tables, *edges[part : part + 2])
            for part in range(1, parts)
            if self._pool is not None
        ]
        _step_block(sims, actions, steps, tables, edges[0], edges[1])
        for job in jobs:
            job.result()

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()


def _step_block(  # noqa: PLR0917
    sims: Sequence[NativeSimulation],
    actions: NDArray[Any],
    steps: int,
    tables: dict[str, Floats],
    start: int,
    end: int,
) -> None:
    advance, finish = mujoco.mj_step, mujoco.mj_rnePostConstraint
    for row in range(start, end):
        sim = sims[row]
        data, model = sim.data, sim.model.engine
        data.ctrl[:] = actions[row]
        advance(model, data, steps)
        if "cfrc_ext" in tables:
            finish(model, data)
        read_into(sim, tables, row)


def read_into(sim: NativeSimulation, tables: dict[str, Floats], row: int) -> None:
    """Copy fields of the data into a row of each table."""
    for name, table in tables.items():
        table[row] = getattr(sim.data, name)
