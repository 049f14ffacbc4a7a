"""Modules that have moved: old names keep working for one release, with a warning.

The table serves ``"module:Attr"`` entries in configs. A move is one line here.
"""

from __future__ import annotations

import warnings

MOVED = {
    "roboyard.sim.connection": "roboyard.sim.pybullet.connection",
    "roboyard.sim.contacts": "roboyard.sim.pybullet.contacts",
    "roboyard.sim.control": "roboyard.sim.pybullet.control",
    "roboyard.sim.engine": "roboyard.sim.pybullet.engine",
    "roboyard.sim.ground": "roboyard.sim.pybullet.ground",
    "roboyard.sim.loading": "roboyard.sim.pybullet.loading",
    "roboyard.sim.probing": "roboyard.sim.pybullet.probing",
}
"""Old module to new; what is below an old package moves along."""


def moved(module: str) -> str:
    """Return where ``module`` is now, and warn if that is elsewhere than its name says."""
    for old, new in MOVED.items():
        if module == old or module.startswith(f"{old}."):
            now = new + module[len(old) :]
            warnings.warn(
                f"module '{module}' is now '{now}'; the old name goes with the next release.",
                DeprecationWarning,
                stacklevel=3,
            )
            return now
    return module
