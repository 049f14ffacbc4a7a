"""The former home of ``roboyard.agents.torch``; its names work for one more release.

``roboyard.agents.fast:PPO`` stands in configs, and ``roboyard.agents.fast.ppo.PPO`` in pickles.
"""

from __future__ import annotations

import importlib
import sys
import warnings

_MOVED = {
    "PPO": "roboyard.agents.torch.ppo",
    "A2C": "roboyard.agents.torch.a2c",
    "SAC": "roboyard.agents.torch.sac",
    "TD3": "roboyard.agents.torch.td3",
    "TRPO": "roboyard.agents.torch.trpo",
    "OverlappedRollouts": "roboyard.agents.torch.rollouts",
}

for _module in ("ppo", "sac", "td3", "others", "rollouts"):
    sys.modules[f"{__name__}.{_module}"] = sys.modules[__name__]


def __getattr__(name: str) -> object:
    """Return a class that has moved, and say where it is now."""
    if name not in _MOVED:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    warnings.warn(
        f"'roboyard.agents.fast:{name}' is now '{_MOVED[name]}:{name}'; the old name works for "
        "one more release.",
        FutureWarning,
        stacklevel=2,
    )
    return getattr(importlib.import_module(_MOVED[name]), name)
