"""Where the robot descriptions are that come with PyBullet.

They are files in a package of their own, which any engine can read.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from roboyard.errors import RobotDescriptionError


def data_path() -> Path:
    """Return the folder of the robot descriptions that come with PyBullet."""
    found = importlib.util.find_spec("pybullet_data")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("No module named 'pybullet_data'; install pybullet.")
    return Path(found.origin).parent


def find_description(path: str | Path) -> Path:
    """Return the file that ``path`` names, looking into PyBullet's own data last.

    Raises:
        RobotDescriptionError: There is no such file.
    """
    given = Path(path).expanduser()
    candidates = [given] if given.is_absolute() else [given, data_path() / given]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve()
    kind = "is a folder" if given.is_dir() else "does not exist"
    raise RobotDescriptionError(
        f"robot description '{path}' {kind}. Give the path of a URDF or MJCF file, or the name of "
        "one that comes with PyBullet, such as 'r2d2.urdf'."
    )
