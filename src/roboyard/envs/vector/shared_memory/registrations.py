"""Gymnasium ids that a script registered, made known in the workers as well."""

from __future__ import annotations

import contextlib
import pickle
import warnings

from gymnasium.envs.registration import EnvSpec, registry

from roboyard.envs.vector.shared_memory.channel import dump_by_value


def custom_registrations() -> tuple[bytes, ...]:
    """Pickle the specs of every environment that does not come with Gymnasium itself.

    Specs that cannot be pickled are left out: the worker then knows the id only if one of the
    modules it imports registers it.
    """
    pickled = []
    for spec in registry.values():
        if not str(spec.entry_point).startswith("gymnasium."):
            with contextlib.suppress(Exception):
                pickled.append(dump_by_value(spec))
    return tuple(pickled)


def adopt_registrations(pickled: tuple[bytes, ...]) -> None:
    """Register what is not known here yet."""
    # A module that is imported later may register the same ids once more, and is right to.
    warnings.filterwarnings("ignore", message=".*Overriding environment")
    for data in pickled:
        with contextlib.suppress(Exception):  # an id that this run may not need at all
            spec: EnvSpec = pickle.loads(data)
            registry.setdefault(spec.id, spec)
