"""The policy bundle: one file with a network and all that is needed to act with it.

Names are imported when first used: the runtime reads bundles without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roboyard.policies.bundle.policy_bundle import PolicyBundle

_HOMES = {
    "PolicyBundle": "roboyard.policies.bundle.policy_bundle",
}

__all__ = ["PolicyBundle"]


def __getattr__(name: str) -> object:
    """Import a public name from its home on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
