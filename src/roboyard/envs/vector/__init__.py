"""Several copies of an environment, stepped together.

Names are imported when first used: worker processes import this package and do without
stable_baselines3.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roboyard.envs.vector.factory import make_vec_env, resolve_workers

_HOMES = {
    "make_vec_env": "roboyard.envs.vector.factory",
    "resolve_workers": "roboyard.envs.vector.factory",
}

__all__ = ["make_vec_env", "resolve_workers"]


def __getattr__(name: str) -> object:
    """Import a public name from its home on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
