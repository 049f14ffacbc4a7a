"""What the entries of observations and actions mean: names, units and the control period."""

from __future__ import annotations

import contextlib
import math
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium
from gymnasium import spaces
from pydantic import Field, JsonValue, PositiveFloat, ValidationError

from roboyard.config.base import Record
from roboyard.errors import PolicyError
from roboyard.policies.robot_contract import describe_robot
from roboyard.policies.spaces import AnySpace

if TYPE_CHECKING:
    from roboyard.robots.robot import Robot

_NAME_AND_UNIT = re.compile(r"(?P<name>.*?)\s*(?:\[(?P<unit>[^\[\]]*)\])?")


class Entry(Record):
    """One number of an observation or an action."""

    name: str = Field(min_length=1, max_length=200)
    """What it is, such as ``pole angle``."""
    unit: str = Field(default="", max_length=50)
    """Its unit, such as ``rad/s``; empty for pure numbers or when it is not known."""


class PolicyContract(Record):
    """What whoever feeds a policy must know beyond the shapes; all of it is optional."""

    observations: dict[str, tuple[Entry, ...]] = Field(default={})
    """Entries by key of a Dict space; under the empty key where the space is one array."""
    actions: tuple[Entry, ...] = ()
    """Entries of the action."""
    control_period_s: PositiveFloat | None = None
    """Time between two actions [s]."""
    robot: dict[str, JsonValue] = Field(default={})
    """Joints with their order, control modes, gains, default positions and limits."""


def describe_env(env: object) -> PolicyContract:
    """Collect what an environment tells about itself.

    Args:
        env: An environment, or a vector of equal ones, that may offer ``observation_names`` and
            ``action_names`` (texts such as ``"pole angle [rad]"``; for Dict observations a
            mapping of them) and ``control_period`` [s]. What it does not offer is left out.

    Raises:
        PolicyError: It offers something of another form.
    """
    names = _attribute(env, "observation_names") or {}
    by_key = names if isinstance(names, Mapping) else {"": names}
    try:
        return PolicyContract(
            observations={key: _entries(value) for key, value in by_key.items()},
            actions=_entries(_attribute(env, "action_names") or ()),
            control_period_s=_attribute(env, "control_period"),
        )
    except (TypeError, ValidationError) as error:
        raise PolicyError(
            f"{type(env).__name__}'s observation_names, action_names or control_period is wrong: "
            "names are sequences of texts (for Dict observations a mapping of them), and the "
            "period is a positive number of seconds."
        ) from error


def complete_contract(
    contract: PolicyContract,
    env: gymnasium.Env[Any, Any],
    observation_space: AnySpace,
    action_space: AnySpace,
) -> PolicyContract:
    """Fill in what a contract leaves open with what an environment tells about itself.

    Args:
        contract: What it says already stays.
        env: One environment, possibly wrapped.
        observation_space: Of the policy; names that do not count its entries (because a wrapper
            changes observations) are left out.
        action_space: Of the policy.

    Raises:
        PolicyError: The environment offers names or a period of another form.
    """
    own = env.unwrapped
    told = describe_env(own)
    found = contract.model_dump()
    for name in ("observations", "actions", "control_period_s"):
        if not found[name] and getattr(told, name):
            single = PolicyContract.model_validate({name: getattr(told, name)})
            with contextlib.suppress(PolicyError):
                check_contract(single, observation_space, action_space)
                found[name] = getattr(told, name)
    if not found["robot"] and (robot := _robot_of(own)) is not None:
        found["robot"] = describe_robot(robot)
    return PolicyContract.model_validate(found)


def _robot_of(env: object) -> Robot | None:
    module = sys.modules.get("roboyard.robots.robot")  # Loaded by any environment that has one.
    robot = getattr(env, "robot", None)
    return robot if module is not None and isinstance(robot, module.Robot) else None


def _attribute(env: object, name: str) -> Any:  # noqa: ANN401  (checked by the record)
    """Return an attribute of an environment or of the first of a vector of them."""
    if not (hasattr(env, "has_attr") and hasattr(env, "get_attr")):
        return getattr(env, name, None)
    return env.get_attr(name, indices=[0])[0] if env.has_attr(name) else None


def _entries(names: Sequence[str]) -> tuple[Entry, ...]:
    if isinstance(names, str):
        raise TypeError("one text instead of a sequence")
    matches = [_NAME_AND_UNIT.fullmatch(name) for name in names]
    return tuple(Entry(name=match["name"], unit=match["unit"] or "") for match in matches if match)


def check_contract(
    contract: PolicyContract, observation_space: AnySpace, action_space: AnySpace
) -> None:
    """Refuse a contract whose names do not count the entries of the spaces.

    Raises:
        PolicyError: A key is unknown, or there are too few or too many names.
    """
    parts = {"": observation_space}
    if isinstance(observation_space, spaces.Dict):
        parts = observation_space.spaces
    for key, entries in contract.observations.items():
        where = f"observation '{key}'" if key else "observation"
        if key not in parts:
            raise PolicyError(f"names are given for the {where}, which the space does not have.")
        _check_count(where, entries, parts[key])
    if contract.actions:
        _check_count("action", contract.actions, action_space)


def _check_count(where: str, entries: tuple[Entry, ...], space: AnySpace) -> None:
    expected = math.prod(space.shape or ())
    if entries and len(entries) != expected:
        raise PolicyError(
            f"{len(entries)} names are given for the {expected} entries of the {where}."
        )
