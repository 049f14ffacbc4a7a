"""Inertias: computed from shapes, mended where no body can have them."""

from __future__ import annotations

import dataclasses

import numpy as np

from roboyard.errors import RobotDescriptionError
from roboyard.robots.normalization.options import Normalization
from roboyard.robots.solids import DENSITY, shape_inertial
from roboyard.sim.mechanics import joined_inertial
from roboyard.sim.model import Floats, Inertial, Link, Remark, RobotModel

SMALLEST_RATIO = 1e-4
"""Of a principal moment to the largest one: a rod of 100 times its thickness."""
SMALLEST_MASS = 1e-12
"""Below it there is no mass [kg]."""
SMALLEST_MOMENT = 1e-14
"""Below it engines take a moment for 0 [kg m^2]."""
_ROUNDING = 1e-9
_BALL = 0.4
_PLACEHOLDER_RADIUS = 0.05


def with_sound_inertias(model: RobotModel, options: Normalization) -> RobotModel:
    """Return the model with masses as chosen and inertias that bodies can have.

    Raises:
        RobotDescriptionError: An inertia is impossible and is to be refused.
    """
    remarks: list[Remark] = []
    links = tuple(_sound(model, link, options, remarks) for link in model.links)
    return model.replace(tuple(remarks), links=links)


def _sound(model: RobotModel, link: Link, options: Normalization, remarks: list[Remark]) -> Link:
    inertial, where = link.inertial, f"link '{link.name}'"
    if inertial is None and options.masses == "computed":
        inertial = _from_shapes(link)
        if inertial is not None:
            remarks.append(Remark(
                "mass-computed", where, f"it weighs {inertial.mass:.3g} kg",
                f"it has no inertial; its shapes at {DENSITY:g} kg/m^3", link.source.line,
            ))  # fmt: skip
        return dataclasses.replace(link, inertial=inertial)
    if inertial is None:
        return link
    if not inertial.mass > SMALLEST_MASS:
        if inertial.inertia.any():
            remarks.append(Remark("massless", where, "its inertia is not used",
                                  f"its mass is {inertial.mass:g}", link.source.line))  # fmt: skip
        return dataclasses.replace(link, inertial=None)
    if options.masses == "shapes":
        shaped = _scaled_shapes(link, inertial)
        if shaped is not None:
            remarks.append(Remark("inertia-of-shapes", where, "its inertia follows from its shapes",
                                  "so chosen", link.source.line))  # fmt: skip
            return dataclasses.replace(link, inertial=shaped)
    fault = inertia_fault(inertial.inertia)
    if not fault:
        return link
    if options.inertia == "refuse":
        raise RobotDescriptionError(
            f"robot description '{model.file}', line {link.source.line}: {where} {fault}. "
            "Correct it, or set robot.inertia: mend."
        )
    mended, how = _mended(link, inertial)
    remarks.append(Remark("inertia-mended", where, how, fault, link.source.line))
    return dataclasses.replace(link, inertial=mended)


def inertia_fault(inertia: Floats) -> str:
    """Return what makes an inertia [kg m^2], shape (3, 3), impossible, or nothing."""
    if np.abs(inertia).max() <= SMALLEST_MOMENT:
        return "has a mass but no inertia"
    small, middle, large = np.linalg.eigvalsh(inertia).tolist()
    shown = f"principal moments {small:.3g}, {middle:.3g}, {large:.3g} kg m^2"
    if small <= SMALLEST_MOMENT:
        return f"has an inertia that is not positive: {shown}"
    if large > (small + middle) * (1 + _ROUNDING):
        return f"has an inertia that no body can have: {shown}, the largest above the sum of the " \
               "others"  # fmt: skip
    return ""


def _mended(link: Link, inertial: Inertial) -> tuple[Inertial, str]:
    if np.abs(inertial.inertia).max() > SMALLEST_MOMENT:
        mended = nearest_possible(inertial.inertia)
        moments = np.linalg.eigvalsh(mended)
        shown = ", ".join(f"{moment:.3g}" for moment in moments)
        return (
            dataclasses.replace(inertial, inertia=mended),
            f"its principal moments become {shown} kg m^2",
        )
    shaped = _scaled_shapes(link, inertial)
    if shaped is not None:
        return dataclasses.replace(inertial, inertia=shaped.inertia), "it gets that of its shapes"
    moment = _BALL * inertial.mass * _PLACEHOLDER_RADIUS**2
    return (
        dataclasses.replace(inertial, inertia=np.eye(3) * moment),
        f"it gets that of a ball of {_PLACEHOLDER_RADIUS:g} m",
    )


def nearest_possible(inertia: Floats) -> Floats:
    """Return the possible inertia nearest to an impossible one, shape (3, 3).

    Principal axes stay. Moments below ``SMALLEST_RATIO`` of the largest are raised to it; then,
    where the largest exceeds the sum of the others, all three move by a third of the excess,
    which is the shortest way to where they balance.
    """
    moments, axes = np.linalg.eigh(inertia)
    if moments[-1] <= 0:  # All signs are wrong.
        moments = np.sort(np.abs(moments))
    floor = max(SMALLEST_RATIO * moments[-1], 2 * SMALLEST_MOMENT)
    moments = np.maximum(moments, floor)
    excess = moments[2] - moments[0] - moments[1]
    if excess > 0:
        moments = moments + np.array([1.0, 1.0, -1.0]) * excess / 3
        moments[2] *= 1 - _ROUNDING
    mended: Floats = axes @ np.diag(moments) @ axes.T
    return (mended + mended.T) / 2


def _from_shapes(link: Link) -> Inertial | None:
    parts = [shape_inertial(shape) for shape in link.collisions or link.visuals]
    joined = joined_inertial(part for part in parts if part is not None)
    return joined if joined.mass > 0 else None


def _scaled_shapes(link: Link, inertial: Inertial) -> Inertial | None:
    """Return the inertia of a link's shapes, of the mass and centre that the file gives."""
    shaped = _from_shapes(link)
    if shaped is None:
        return None
    inertia = shaped.inertia * (inertial.mass / shaped.mass)
    return Inertial(inertial.mass, inertial.center, inertia)
