"""Contact points as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from roboyard.sim.mujoco.engine import mujoco
from roboyard.sim.mujoco.simulation import Simulation
from roboyard.sim.rows import BASE, Bounds, ContactRow, Overlap


def read_contacts(sim: Simulation) -> list[ContactRow]:
    """Return the contacts of the last step."""
    data, model = sim.data, sim.model
    count = data.ncon
    if not count:
        return []
    contact, rows = data.contact, []
    ends = model.geom_bodyid[contact.geom[:count]]
    bodies, links = sim.body_of[ends].tolist(), sim.link_of[ends].tolist()
    half = contact.frame[:count, :3] * (contact.dist[:count, None] / 2)
    first, second = contact.pos[:count] - half, contact.pos[:count] + half
    force = np.zeros(6)
    for n in range(count):
        mujoco.mj_contactForce(model, data, n, force)
        normal, along, across = (tuple(row) for row in contact.frame[n].reshape(3, 3).tolist())
        rows.append((
            0, bodies[n][0], bodies[n][1], links[n][0], links[n][1],
            tuple(first[n].tolist()), tuple(second[n].tolist()), _negated(normal),
            float(contact.dist[n]), float(force[0]),
            float(force[1]), along, float(force[2]), across,
        ))  # fmt: skip
    return rows


def contacts_of(rows: Sequence[ContactRow], body: int, other: int | None) -> list[ContactRow]:
    """Return the rows of a body, itself the first in each."""
    found = []
    for row in rows:
        one, two = row[1], row[2]
        if one == body and (other is None or other == two):
            found.append(row)
        elif two == body and (other is None or other == one):
            found.append(_flipped(row))
    return found


def _flipped(row: ContactRow) -> ContactRow:
    return (
        row[0], row[2], row[1], row[4], row[3], row[6], row[5], _negated(row[7]), *row[8:],
    )  # fmt: skip


def _negated(vector: Any) -> Any:  # noqa: ANN401
    x, y, z = vector
    return -x, -y, -z


def find_overlaps(sim: Simulation, body: int, other: int, tolerance: float) -> list[Overlap]:
    """Return the pairs of links that overlap by more than ``tolerance`` [m], deepest first."""
    data = sim.probe()
    ends = sim.model.geom_bodyid[data.contact.geom[: data.ncon]].reshape(-1, 2)
    depths: dict[tuple[int, int], float] = {}
    for (one, two), distance in zip(ends.tolist(), data.contact.dist[: data.ncon], strict=True):
        bodies = int(sim.body_of[one]), int(sim.body_of[two])
        first, second = int(sim.link_of[one]), int(sim.link_of[two])
        if bodies == (other, body) and body != other:
            first, second = second, first
        elif bodies != (body, other):
            continue
        pair = (min(first, second), max(first, second)) if body == other else (first, second)
        depths[pair] = max(depths.get(pair, 0.0), -float(distance))
    found = [Overlap(*pair, depth) for pair, depth in depths.items() if depth > tolerance]
    return sorted(found, key=lambda overlap: -overlap.depth)


def find_bounds(sim: Simulation, body: int) -> Bounds:
    """Return a box around the geoms of a body."""
    data, model, rows = sim.probe(), sim.model, sim.rows[body]
    ids = [rows.engine_body(link) for link in (BASE, *range(len(rows.links)))]
    geoms = np.flatnonzero(np.isin(model.geom_bodyid, ids) & (model.geom_contype > 0))
    places = data.xpos[ids]
    if not len(geoms):
        lower, upper = places.min(axis=0), places.max(axis=0)
    else:
        turned = data.geom_xmat[geoms].reshape(-1, 3, 3)
        middle, half = model.geom_aabb[geoms, :3], model.geom_aabb[geoms, 3:]
        center = data.geom_xpos[geoms] + np.einsum("gij,gj->gi", turned, middle)
        reach = np.einsum("gij,gj->gi", np.abs(turned), half)
        lower, upper = (center - reach).min(axis=0), (center + reach).max(axis=0)
    (a, b, c), (d, e, f) = lower.tolist(), upper.tolist()
    return Bounds((a, b, c), (d, e, f))
