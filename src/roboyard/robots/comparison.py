"""A robot's file beside what is simulated: masses, inertias, joints, limits, shapes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from roboyard.robots.normalization.joints import with_references_at_zero, with_unit_axes
from roboyard.robots.tree import with_root
from roboyard.sim.mechanics import whole_inertial
from roboyard.sim.model import Inertial, Joint, JointKind, RobotModel

TOLERANCE = 1e-4
_NOTHING = 1e-12


class ComparedRow(NamedTuple):
    """One figure of the file and of the simulation."""

    what: str
    """Such as ``total mass, kg`` or ``joint 'elbow': upper``."""
    file: str
    simulated: str
    reasons: tuple[str, ...] = ()
    """Why they differ, one sentence a remark; empty where they are equal."""

    @property
    def is_equal(self) -> bool:
        """Whether both are shown alike."""
        return self.file == self.simulated


_REASONS = {
    "mass": ("mass-lent", "mass-computed", "sdf-default"),
    "inertia": ("inertia-mended", "massless", "mass-lent", "mass-computed", "inertia-of-shapes"),
    "joints": ("joint-split", "floating-base"),
    "links": ("joint-split", "fixed-merged", "floating-base"),
    "shapes": ("visual-missing", "shape-empty", "floating-base"),
}
"""Codes of the remarks that a difference of each kind can come from."""


def compare_models(read: RobotModel, simulated: RobotModel) -> tuple[ComparedRow, ...]:
    """Return figures of the robot as it was read and as it is simulated, side by side."""
    rows = [*_counts(read, simulated), *_masses(read, simulated), *_limits(read, simulated)]
    return tuple(rows)


def _counts(read: RobotModel, simulated: RobotModel) -> Iterator[ComparedRow]:
    pairs = (
        ("links", len(read.links), len(simulated.links)),
        ("joints", len(read.movable_joints), len(simulated.movable_joints)),
        ("shapes", _collisions(read), _collisions(simulated)),
    )
    for what, before, after in pairs:
        yield _row(what, str(before), str(after), simulated, _REASONS[what])


def _collisions(model: RobotModel) -> int:
    return sum(len(link.collisions) for link in model.links)


def _masses(read: RobotModel, simulated: RobotModel) -> Iterator[ComparedRow]:
    before, after = _whole(read), whole_inertial(simulated, {})
    yield _number("total mass, kg", before.mass, after.mass, simulated, _REASONS["mass"])
    for axis, number in zip(("roll", "pitch", "yaw"), range(3), strict=True):
        moments = before.inertia[number, number], after.inertia[number, number]
        what = f"{axis} inertia, kg m^2"
        yield _number(what, *moments, simulated, _REASONS["inertia"])


def _whole(model: RobotModel) -> Inertial:
    """Return the inertial of the file's robot with its joints of one freedom at 0."""
    model = with_references_at_zero(with_unit_axes(with_root(model)))
    return whole_inertial(model, {})


def _limits(read: RobotModel, simulated: RobotModel) -> Iterator[ComparedRow]:
    after = {joint.name: joint for joint in simulated.joints}
    for joint in read.movable_joints:
        other = after.get(joint.name)
        if other is None:
            row = _row(
                f"joint '{joint.name}'", joint.kind.value, "-", simulated, _REASONS["joints"]
            )
            yield row
            continue
        yield _row(f"joint '{joint.name}'", _shown(joint), _shown(other), simulated, ())


def _shown(joint: Joint) -> str:
    unit = "m" if joint.kind is JointKind.PRISMATIC else "rad"
    if not joint.has_limits:
        return f"{joint.kind.value}, no limits"
    return f"{joint.kind.value}, {joint.lower:.4g} to {joint.upper:.4g} {unit}"


def _number(
    what: str, before: float, after: float, model: RobotModel, codes: tuple[str, ...]
) -> ComparedRow:
    is_equal = math.isclose(before, after, rel_tol=TOLERANCE, abs_tol=_NOTHING)
    shown = f"{before:.5g}"
    return _row(what, shown, shown if is_equal else f"{after:.5g}", model, codes)


def _row(
    what: str, file: str, simulated: str, model: RobotModel, codes: tuple[str, ...]
) -> ComparedRow:
    if file == simulated:
        return ComparedRow(what, file, simulated)
    reasons = tuple(str(remark) for remark in model.remarks if remark.code in codes)
    return ComparedRow(what, file, simulated, reasons)


def unexplained(rows: tuple[ComparedRow, ...]) -> tuple[ComparedRow, ...]:
    """Return the rows that differ and have no reason; of a sound program there are none."""
    return tuple(row for row in rows if not row.is_equal and not row.reasons)
