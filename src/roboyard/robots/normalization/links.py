"""Links: what carries the mass, and fixed ones made one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from roboyard.errors import RobotDescriptionError
from roboyard.robots.normalization.options import Normalization
from roboyard.sim.mechanics import (
    children_of,
    joined_inertial,
    joints_from_root,
    link_poses,
    moved_inertial,
)
from roboyard.sim.model import Inertial, Joint, JointKind, Link, LinkShape, Pose, Remark, RobotModel

_LENT = 1e-5
"""Share of the robot's mass that joints which move nothing get in all."""
_LENT_LEAST = 1e-6
_LENT_RADIUS = 0.05
_SHOWN = 5


def with_mass_at_root(model: RobotModel) -> RobotModel:
    """Return the model whose root carries the mass of what is fixed to it, if it has none.

    An engine takes a root without mass for one that is held. Frames and shapes stay where they
    are; only the mass is booked elsewhere.
    """
    root = model.link(model.root)
    if root.mass > 0 or len(model.links) == 1:
        return model
    group = _fixed_to(model, model.root)
    poses = link_poses(model.replace(joints=_fixed_joints(model, group)), {})
    loads = [link for link in model.links if link.name in group and link.inertial]
    if not loads:
        if model.is_fixed:
            return model
        return model.replace((Remark("root-massless", f"link '{root.name}'", "the base is held",
                                     "it has no mass, and nothing fixed to it has any",
                                     root.source.line),), is_fixed=True)  # fmt: skip
    whole = joined_inertial(
        moved_inertial(link.inertial, poses[link.name]) for link in loads if link.inertial
    )
    names = {link.name for link in loads}
    links = tuple(
        dataclasses.replace(link, inertial=whole) if link is root
        else dataclasses.replace(link, inertial=None) if link.name in names else link
        for link in model.links
    )  # fmt: skip
    remark = Remark("mass-moved", f"link '{root.name}'",
                    f"it carries the {whole.mass:.4g} kg of {_listed(sorted(names))}",
                    "it has no mass, and they are fixed to it", root.source.line)  # fmt: skip
    return model.replace((remark,), links=links)


def with_massless_remarks(model: RobotModel) -> RobotModel:
    """Return the model with a remark on links whose mass the file leaves out."""
    bare = [link.name for link in model.links if link.inertial is None and link.source.line]
    shaped = [n for n in bare if model.link(n).collisions and n != model.root]
    if not shaped:
        return model
    remark = Remark("massless", f"links {_listed(shaped)}", "they have shapes but no mass",
                    "they have no inertial; inertia: computed gives them one")  # fmt: skip
    return model.replace((remark,))


def with_lent_masses(model: RobotModel) -> RobotModel:
    """Return the model in which every joint moves some mass, however little."""
    carried = {link.name: link.mass for link in model.links}
    for joint in reversed(joints_from_root(model)):
        carried[joint.parent] += carried[joint.child]
    idle = [joint for joint in model.joints if joint.is_movable and not carried[joint.child] > 0]
    if not idle:
        return model
    holders = {joint.parent for joint in idle}
    tips = [joint for joint in idle if joint.child not in holders] or idle
    share = max(_LENT * carried[model.root] / len(tips), _LENT_LEAST)
    if not carried[model.root] > 0:
        raise RobotDescriptionError(
            f"robot description '{model.file}': no link has a mass; give <inertial>, or set "
            "robot.inertia: computed to take masses from the shapes."
        )
    lent = Inertial(share, np.zeros(3), np.eye(3) * share * _LENT_RADIUS**2)
    names = {joint.child for joint in tips}
    links = tuple(
        dataclasses.replace(link, inertial=lent) if link.name in names else link
        for link in model.links
    )
    remark = Remark("mass-lent", f"joints {_listed([joint.name for joint in idle])}",
                    f"what they move weighs {share:.2g} kg each",
                    "they move nothing that has a mass, which cannot be simulated",
                    idle[0].source.line)  # fmt: skip
    return model.replace((remark,), links=links)


def with_fixed_merged(model: RobotModel, options: Normalization) -> RobotModel:
    """Return the model with fixed links merged: all on request, else as many as there must be.

    Raises:
        RobotDescriptionError: More links than the engine takes are left.
    """
    most = options.max_links
    surplus = len(model.links) - most if most is not None else 0
    candidates = [j for j in model.joints if not j.is_movable and j.child not in options.keep]
    if options.merge_fixed:
        chosen = candidates
    else:
        candidates.sort(key=lambda joint: _weight(model.link(joint.child)))
        chosen = candidates[: max(surplus, 0)]
    if surplus > len(chosen):
        raise RobotDescriptionError(
            f"robot description '{model.file}' has {len(model.links)} links, and "
            f"{len(model.links) - len(chosen)} with fixed ones merged; this engine takes at most "
            f"{most}. Split the robot, or choose another engine."
        )
    if not chosen:
        return model
    why = "so chosen" if options.merge_fixed else f"the engine takes at most {most} links"
    names = [joint.child for joint in chosen]
    remark = Remark("fixed-merged", f"links {_listed(names)}", "each is one with its parent", why)
    return _merged(model, {joint.name for joint in chosen}).replace((remark,))


def _weight(link: Link) -> int:
    """Return how much is lost from sight when a link loses its name."""
    return 2 * bool(link.collisions) + bool(link.inertial) + bool(link.visuals)


def _merged(model: RobotModel, names: set[str]) -> RobotModel:
    """Return the model with the children of some fixed joints merged into their parents."""
    into: dict[str, tuple[str, Pose]] = {}
    for joint in joints_from_root(model):
        if joint.name in names:
            target, pose = into.get(joint.parent, (joint.parent, None))
            into[joint.child] = (target, pose @ joint.origin if pose else joint.origin)
    parts: dict[str, list[tuple[Link, Pose]]] = {}
    for link in model.links:
        if link.name in into:
            parts.setdefault(into[link.name][0], []).append((link, into[link.name][1]))
    links = tuple(
        _joined(link, parts.get(link.name, [])) for link in model.links if link.name not in into
    )
    joints = tuple(
        _moved_parent(joint, into) for joint in model.joints if joint.name not in names
    )  # fmt: skip
    sensors = tuple(
        dataclasses.replace(sensor, link=into[sensor.link][0],
                            pose=into[sensor.link][1] @ sensor.pose)
        if sensor.link in into else sensor
        for sensor in model.sensors
    )  # fmt: skip
    return model.replace(links=links, joints=joints, sensors=sensors)


def _moved_parent(joint: Joint, into: dict[str, tuple[str, Pose]]) -> Joint:
    if joint.parent not in into:
        return joint
    parent, pose = into[joint.parent]
    return dataclasses.replace(joint, parent=parent, origin=pose @ joint.origin)


def _joined(link: Link, parts: list[tuple[Link, Pose]]) -> Link:
    if not parts:
        return link
    loads = [moved_inertial(p.inertial, pose) for p, pose in parts if p.inertial]
    own = [link.inertial] if link.inertial else []
    return dataclasses.replace(
        link,
        inertial=joined_inertial([*own, *loads]) if own or loads else None,
        collisions=(*link.collisions, *_moved_shapes((p.collisions, q) for p, q in parts)),
        visuals=(*link.visuals, *_moved_shapes((p.visuals, q) for p, q in parts)),
        contact={**{k: v for p, _ in parts for k, v in p.contact.items()}, **link.contact},
    )


def _moved_shapes(
    groups: Iterable[tuple[tuple[LinkShape, ...], Pose]],
) -> list[LinkShape]:
    return [
        dataclasses.replace(shape, pose=pose @ shape.pose)
        for shapes, pose in groups
        for shape in shapes
    ]


def _fixed_to(model: RobotModel, name: str) -> set[str]:
    below, found, waiting = children_of(model), {name}, [name]
    while waiting:
        for joint in below[waiting.pop()]:
            if joint.kind is JointKind.FIXED:
                found.add(joint.child)
                waiting.append(joint.child)
    return found


def _fixed_joints(model: RobotModel, group: set[str]) -> tuple[Joint, ...]:
    return tuple(j for j in model.joints if j.child in group)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"'{name}'" for name in names[:_SHOWN]) + more
