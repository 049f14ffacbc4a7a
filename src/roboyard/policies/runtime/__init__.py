"""Acting with a policy bundle on NumPy and onnxruntime alone: no torch in this folder.

Names are imported when first used: a controller imports only what it uses.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roboyard.policies.runtime.policy import ActResult, RuntimePolicy

_HOMES = {
    "ActResult": "roboyard.policies.runtime.policy",
    "RuntimePolicy": "roboyard.policies.runtime.policy",
}

__all__ = ["ActResult", "RuntimePolicy"]


def __getattr__(name: str) -> object:
    """Import a public name from its home on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
