"""Meshes as engines read them safely: OBJ files of checked triangles, named by their content."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from roboyard.sim.meshes import Triangles, mesh_content, parse_mesh
from roboyard.sim.model import Ellipsoid, Floats, Mesh

_VERSION = b"1"
"""Of what is written; another one leaves old files behind unread."""
_RINGS, _SEGMENTS = 8, 16


def cache_folder() -> Path:
    """Return the folder in which converted meshes are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "roboyard" / "meshes"


class MeshStore:
    """A folder of converted meshes; one that changes gets another name, so none is stale."""

    def __init__(self, folder: Path | None = None) -> None:
        """Use ``folder``, by default the user's cache, or a temporary one if that is closed."""
        self._folder = folder or cache_folder()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            self._folder = Path(tempfile.mkdtemp(prefix="roboyard-meshes-"))

    def path(self, mesh: Mesh) -> Path:
        """Return an OBJ file with a mesh's triangles, not scaled.

        Raises:
            RobotDescriptionError: The mesh's file is no mesh.
        """
        if mesh.vertices is not None and mesh.faces is not None:
            triangles = Triangles(mesh.vertices, mesh.faces)
            key = mesh.vertices.tobytes() + b"/" + mesh.faces.tobytes()
            return self._kept(key, lambda: triangles)
        content = mesh_content(mesh.file)
        key = Path(mesh.file).suffix.lower().encode() + b"/" + content
        return self._kept(key, lambda: parse_mesh(content, mesh.file))

    def ellipsoid(self, ellipsoid: Ellipsoid) -> Path:
        """Return an OBJ file with an ellipsoid's surface."""
        triangles = _ball(np.array(ellipsoid.radii))
        return self._kept(b"ellipsoid/" + triangles.vertices.tobytes(), lambda: triangles)

    def _kept(self, key: bytes, make: Callable[[], Triangles]) -> Path:
        path = self._folder / f"{hashlib.sha256(_VERSION + key).hexdigest()[:32]}.obj"
        if path.is_file():
            return path
        text = obj_text(make())
        descriptor, temporary = tempfile.mkstemp(dir=self._folder, suffix=".part")
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(text)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return path


def obj_text(triangles: Triangles) -> str:
    """Return triangles as OBJ."""
    points = "\n".join(f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in triangles.vertices.tolist())
    faces = "\n".join(f"f {a} {b} {c}" for a, b, c in (triangles.faces + 1).tolist())
    return f"{points}\n{faces}\n"


def _ball(radii: Floats) -> Triangles:
    """Return the surface of an ellipsoid, in rings between two poles."""
    rows = []
    for ring in range(1, _RINGS):
        height = np.pi * ring / _RINGS
        turns = 2 * np.pi * np.arange(_SEGMENTS) / _SEGMENTS
        across = np.sin(height)
        rows += [(across * np.cos(t), across * np.sin(t), np.cos(height)) for t in turns]
    vertices = np.array([*rows, (0, 0, 1), (0, 0, -1)]) * radii
    top, bottom, count = len(rows), len(rows) + 1, _SEGMENTS
    faces = []
    for s in range(count):
        after = (s + 1) % count
        faces.append((top, s, after))
        faces.append((bottom, len(rows) - count + after, len(rows) - count + s))
        for ring in range(_RINGS - 2):
            a, b = ring * count + s, ring * count + after
            faces += [(a, a + count, b), (b, a + count, b + count)]
    return Triangles(vertices, np.array(faces, np.int64))
