"""The order in which a model is normalised."""

from __future__ import annotations

from roboyard.robots.normalization.inertias import with_sound_inertias
from roboyard.robots.normalization.joints import (
    with_anchored_frames,
    with_free_base,
    with_limit_remarks,
    with_mimics_resolved,
    with_references_at_zero,
    with_single_joints,
    with_unit_axes,
)
from roboyard.robots.normalization.links import (
    with_fixed_merged,
    with_lent_masses,
    with_mass_at_root,
    with_massless_remarks,
)
from roboyard.robots.normalization.options import Normalization
from roboyard.robots.tree import with_root
from roboyard.sim.model import RobotModel


def normalize(model: RobotModel, options: Normalization | None = None) -> RobotModel:
    """Return the robot that is simulated: one tree of sound links and joints of one freedom.

    Link frames, joint positions and names stay as the file has them; whatever else changes is in
    ``remarks``.

    Raises:
        RobotDescriptionError: The description makes no robot, or needs a change that is refused.
    """
    options = options or Normalization()
    model = with_root(model)
    model = with_mimics_resolved(with_limit_remarks(with_unit_axes(model)))
    model = with_references_at_zero(model)
    model = with_single_joints(with_free_base(model))
    model = with_anchored_frames(model)
    model = with_massless_remarks(with_sound_inertias(model, options))
    model = with_mass_at_root(model)
    model = with_fixed_merged(model, options)
    return with_lent_masses(model)
