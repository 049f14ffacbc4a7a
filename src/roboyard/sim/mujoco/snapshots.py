"""Snapshots: what they hold, and which are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roboyard.errors import SimulationError
from roboyard.sim.mujoco.engine import mujoco
from roboyard.sim.mujoco.simulation import STATE, Saved, Simulation
from roboyard.sim.rows import ContactRow

_COUNTS = ("nq", "nv", "na", "nu", "neq", "nmocap")
_VECTORS = (5, 6, 7, 11, 13)
"""Columns of a contact that hold vectors."""


def identity(sim: Simulation) -> dict[str, object]:
    """Return what tells this world's snapshots from others."""
    return {
        "engine": "mujoco",
        "version": mujoco.__version__,
        "state": {"spec": STATE, **{name: int(getattr(sim.model, name)) for name in _COUNTS}},
        "model": sim.signature,
        "bodies": [[part.base, len(part.joints)] for part in sim.parts],
    }


def to_record(
    state: Saved, contacts: list[ContactRow], restitution: Mapping[tuple[int, int], float]
) -> dict[str, object]:
    """Return a state in a form that a snapshot can hold."""
    return {
        "row": state.state,
        "settings": state.settings,
        "efforts": state.efforts,
        "contacts": contacts,
        "restitution": list(restitution.items()),
    }


def from_record(
    sim: Simulation, record: Mapping[str, Any]
) -> tuple[Saved, list[ContactRow], dict[tuple[int, int], float]]:
    """Return the state in a snapshot.

    Raises:
        SimulationError: It is of another engine, version or model, or of other bodies.
    """
    _check(identity(sim), record)
    saved = Saved(record["row"], record["settings"], record["efforts"])
    rows = [
        tuple(tuple(v) if n in _VECTORS else v for n, v in enumerate(row))
        for row in record["contacts"]
    ]
    bounce = {(body, link): value for (body, link), value in record["restitution"]}
    return saved, rows, bounce  # type: ignore[return-value]


def _check(own: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    if given.get("engine") != "mujoco":
        raise SimulationError("this snapshot is of another engine than mujoco; restore it with "
                              "the engine that it was taken with.")  # fmt: skip
    if given["bodies"] != own["bodies"]:
        raise SimulationError(
            f"this snapshot is of a world with other bodies ({_described(given['bodies'])}) than "
            f"this one ({_described(own['bodies'])}). Load the same bodies in the same order."
        )
    if given["version"] != own["version"]:
        raise SimulationError(
            f"this snapshot is of MuJoCo {given['version']}, but {own['version']} is installed, "
            f"which would go on otherwise: install mujoco=={given['version']}."
        )
    for name in ("state", "model"):
        if given[name] != own[name]:
            raise SimulationError(
                f"this snapshot is of another {name} ({given[name]}) than this world's "
                f"({own[name]}): a robot's file, a shape or the time step has changed."
            )


def _described(bodies: list[tuple[str, int]]) -> str:
    return ", ".join(f"{name or 'unnamed'} with {n} joints" for name, n in bodies) or "none"
