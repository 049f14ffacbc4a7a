"""Whether a policy and an environment speak of the same spaces."""

from __future__ import annotations

import gymnasium
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.vec_env import VecTransposeImage

from roboyard.errors import PolicyError

Space = gymnasium.Space[object]


def policy_name(policy: object) -> str:
    """Return what messages call the policy: its ``name``, else its class."""
    name = getattr(policy, "name", None)
    return name if isinstance(name, str) else type(policy).__name__


def check_spaces(policy: object, observation_space: object, action_space: object) -> None:
    """Compare a policy's spaces, where it has them, with an environment's.

    Raises:
        PolicyError: They differ; the message states both.
    """
    for kind, wanted in (("observation", observation_space), ("action", action_space)):
        own = getattr(policy, f"{kind}_space", None)
        if not isinstance(own, gymnasium.Space) or own == wanted:
            continue
        if kind == "observation" and _same_structure(own, wanted):
            continue
        raise PolicyError(
            f"policy '{policy_name(policy)}' does not fit this environment: its {kind} space is "
            f"{own}, the environment's is {wanted}. Evaluate it in the environment it was "
            "trained for, or use a policy that was trained for this one."
        )


def _same_structure(own: object, wanted: object) -> bool:
    """Return whether observations of one space can be read as the other's.

    Bounds of observations may differ; images may have their channels first or last, which
    SB3 policies sort out themselves.
    """
    if isinstance(own, gymnasium.spaces.Dict) and isinstance(wanted, gymnasium.spaces.Dict):
        return own.spaces.keys() == wanted.spaces.keys() and all(
            _same_structure(own[key], wanted[key]) for key in own.spaces
        )
    if not isinstance(own, gymnasium.spaces.Box) or not isinstance(wanted, gymnasium.spaces.Box):
        return own == wanted
    shapes = [wanted.shape]
    if is_image_space(wanted):
        shapes.append(VecTransposeImage.transpose_space(wanted).shape)
    return own.dtype == wanted.dtype and own.shape in shapes
