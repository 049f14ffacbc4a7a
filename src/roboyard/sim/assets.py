"""Where the robot descriptions are that come with PyBullet.

They are files in a package of their own, which any engine can read.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path


def data_path() -> Path:
    """Return the folder of the robot descriptions that come with PyBullet."""
    found = importlib.util.find_spec("pybullet_data")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("No module named 'pybullet_data'; install pybullet.")
    return Path(found.origin).parent
