"""Robots as version 0.1 had them, whose engine read files itself, for engines that read models.

That engine took masses of MJCF from shapes at 1000 kg/m^3, no springs and no references from it,
and neither mimic joints nor friction from URDF; it gave links without an inertial 1 kg, and let
roots with a mass move. Armatures and damping of MJCF stay, which it left out: without them the ant
and the humanoid did not stay together in MuJoCo when tried; why PyBullet needs neither was not
isolated (it bounds the speed of joints, which may be the reason).
"""

from __future__ import annotations

import dataclasses
from math import inf

import numpy as np

from roboyard.sim.model import Inertial, Joint, Link, Remark, RobotModel

_UNKNOWN = Inertial(1.0, np.zeros(3), np.eye(3))


def as_in_first_version(model: RobotModel, *, is_mjcf: bool) -> RobotModel:
    """Return a model as it was read, changed to what the first version simulated."""
    if is_mjcf:
        is_fixed = model.is_fixed and model.link(model.root).mass == 0
        joints = tuple(map(_plain, model.joints))
        links = tuple(
            dataclasses.replace(link, inertial=None) if link.collisions else link
            for link in model.links
        )
        remark = Remark("compat", "the file", "springs and references of joints left out, masses "
                        "from shapes at 1000 kg/m^3; armatures and damping kept, which PyBullet "
                        "leaves out", "the robot is compat")  # fmt: skip
        return model.replace((remark,), joints=joints, links=links, is_fixed=is_fixed)
    joints = tuple(dataclasses.replace(j, mimic=None, friction=0.0) for j in model.joints)
    links = tuple(_weighed(link, is_root=link.name == model.root) for link in model.links)
    remark = Remark("compat", "the file", "mimic joints free, friction left out, links without "
                    "an inertial of 1 kg", "the robot is compat")  # fmt: skip
    return model.replace((remark,), joints=joints, links=links)


def _plain(joint: Joint) -> Joint:
    shift = joint.reference
    return dataclasses.replace(
        joint,
        stiffness=0.0,
        spring_reference=0.0,
        reference=0.0,
        lower=joint.lower - shift if joint.lower > -inf else joint.lower,
        upper=joint.upper - shift if joint.upper < inf else joint.upper,
    )


def _weighed(link: Link, *, is_root: bool) -> Link:
    if is_root or link.inertial is not None:
        return link
    return dataclasses.replace(link, inertial=_UNKNOWN)
