"""Policy bundles: a network with everything that is needed to act with it.

Names are imported when first used: ``roboyard.policies.runtime.policy`` needs only NumPy and
onnxruntime, and torch and stable_baselines3 are needed only when a bundle's network is built.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roboyard.policies.bundle.policy_bundle import PolicyBundle
    from roboyard.policies.loading import load_policy
    from roboyard.policies.runtime.normalizer import ObservationNormalizer

_HOMES = {
    "ObservationNormalizer": "roboyard.policies.runtime.normalizer",
    "PolicyBundle": "roboyard.policies.bundle.policy_bundle",
    "load_policy": "roboyard.policies.loading",
}

__all__ = ["ObservationNormalizer", "PolicyBundle", "load_policy"]


def __getattr__(name: str) -> object:
    """Import a public name from its home on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'roboyard.policies' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
