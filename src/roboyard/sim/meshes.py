"""Triangles of mesh files, checked, in metres and with z upwards.

STL (text and binary), OBJ, PLY, GLB and COLLADA are read by trimesh. COLLADA's unit and up-axis
are applied, as its standard says; a GLB keeps its axes, as robot tools export them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roboyard.errors import RobotDescriptionError
from roboyard.sim.model import Floats

FORMATS = (".stl", ".obj", ".dae", ".ply", ".glb")
MAX_BYTES = 512 * 1024 * 1024
_LARGEST = 1e9
_ENTITY = re.compile(rb"<!(ENTITY|DOCTYPE)", re.IGNORECASE)
_UP = {
    "X_UP": np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]),
    "Y_UP": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
    "Z_UP": np.eye(3),
}


class Triangles(NamedTuple):
    """A surface."""

    vertices: Floats
    """[m], shape (vertices, 3)."""
    faces: NDArray[np.int64]
    """Indices of vertices, shape (triangles, 3)."""
    is_turned: bool = False
    """Whether an up-axis other than z was turned upwards."""


@lru_cache(maxsize=64)
def read_mesh(file: str) -> Triangles:
    """Return a mesh's triangles.

    Raises:
        RobotDescriptionError: The file is no mesh; the message says what it is instead.
    """
    return parse_mesh(mesh_content(file), file)


def mesh_content(file: str) -> bytes:
    """Return a mesh file's bytes, after a look at what they are.

    Raises:
        RobotDescriptionError: It is empty, a pointer of Git LFS, a web page or of another format.
    """
    path = Path(file)
    if path.suffix.lower() not in FORMATS:
        raise _unreadable(file, f"has the format '{path.suffix}', but allowed are "
                          f"{', '.join(FORMATS)}")  # fmt: skip
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _unreadable(file, f"has more than {MAX_BYTES // 1024**2} MB")
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(file, f"cannot be read ({error})") from error
    start = content[:200].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start.strip(b"\0"):
        raise _unreadable(file, "is empty")
    if start.startswith(b"version https://git-lfs"):
        raise _unreadable(file, "is a pointer of Git LFS, not the mesh; run 'git lfs pull'")
    if re.match(rb"<(!doctype\s+html|html)", start, re.IGNORECASE):
        raise _unreadable(file, "is a web page, not a mesh; download the file itself")
    return content


def parse_mesh(content: bytes, file: str) -> Triangles:
    """Return the triangles in a mesh file's bytes; see :func:`read_mesh`."""
    suffix = Path(file).suffix.lower()
    if suffix == ".dae" and _ENTITY.search(content):
        raise _unreadable(file, "declares entities, which a mesh does not need")
    if suffix == ".stl":
        _check_stl(content, file)
    vertices, faces = _load(content, suffix, file)
    turned, scale = _collada_frame(content) if suffix == ".dae" else (np.eye(3), 1.0)
    vertices = vertices @ turned.T * scale
    is_sound = len(faces) and np.isfinite(vertices).all() and np.abs(vertices).max() < _LARGEST
    if not is_sound or faces.min() < 0 or faces.max() >= len(vertices):
        raise _unreadable(file, "holds no triangles with finite numbers")
    return Triangles(vertices, faces, bool((turned != np.eye(3)).any()))


def _load(content: bytes, suffix: str, file: str) -> tuple[Floats, NDArray[np.int64]]:
    import logging
    from io import BytesIO

    import trimesh

    logging.getLogger("trimesh").setLevel(logging.CRITICAL)
    try:
        scene = trimesh.load_scene(BytesIO(content), file_type=suffix[1:], process=False)
        mesh = scene.to_mesh()
        vertices = np.asarray(mesh.vertices, np.float64).reshape(-1, 3)
        return vertices, np.asarray(mesh.faces, np.int64).reshape(-1, 3)
    except Exception as error:  # Parsers of strangers' bytes raise what they like.
        reason = str(error).split("\n", 1)[0][:100] or type(error).__name__
        raise _unreadable(file, f"cannot be read as {suffix[1:].upper()} ({reason})") from error


def _check_stl(content: bytes, file: str) -> None:
    """Refuse a binary STL that is shorter than it says."""
    count = int.from_bytes(content[80:84], "little") if len(content) >= 84 else 0
    if len(content) == 84 + 50 * count:
        return
    if content.lstrip()[:5].lower() == b"solid" and b"facet" in content[:100_000]:
        return
    raise _unreadable(
        file, f"is no STL: it says {count} triangles, which would need {84 + 50 * count} bytes, "
        f"but has {len(content)}"
    )  # fmt: skip


def _collada_frame(content: bytes) -> tuple[Floats, float]:
    """Return the turn that makes z the up-axis, and the unit [m]."""
    axis = re.search(rb"<up_axis>\s*([XYZ]_UP)", content)
    unit = re.search(rb"<unit\b[^>]*\bmeter\s*=\s*[\"']([^\"']+)", content)
    turned = _UP[axis.group(1).decode() if axis else "Y_UP"]
    try:
        scale = float(unit.group(1)) if unit else 1.0
    except ValueError:
        scale = 1.0
    return turned, scale if scale > 0 and np.isfinite(scale) else 1.0


def _unreadable(file: str, what: str) -> RobotDescriptionError:
    return RobotDescriptionError(f"mesh '{file}' {what}.")
