"""Mesh files: every format gives the same box; what is no mesh is named."""

from pathlib import Path

import numpy as np
import pytest

from roboyard.errors import RobotDescriptionError
from roboyard.robots.solids import shape_inertial
from roboyard.sim.meshes import read_mesh
from roboyard.sim.model import Box, Ellipsoid, LinkShape, Mesh
from roboyard.sim.writers.meshes import MeshStore

MESHES = Path(__file__).parents[1] / "data" / "robots" / "meshes"


@pytest.mark.parametrize(
    "name",
    ["BOX.STL", "box.dae", "box.glb", "box.obj", "box.ply", "box_ascii.stl", "box_binary.stl",
     "box_mm_unit.dae"],
)  # fmt: skip
def test_a_box_of_ten_centimetres_is_one_in_every_format(name: str) -> None:
    vertices, faces, _ = read_mesh(str(MESHES / name))
    np.testing.assert_allclose(vertices.min(axis=0), -0.05, atol=1e-7)
    np.testing.assert_allclose(vertices.max(axis=0), 0.05, atol=1e-7)
    assert len(faces) == 12


@pytest.mark.parametrize(
    ("axis", "expected"),
    [("Z_UP", (1, 2, 3)), ("Y_UP", (1, 3, 2)), ("X_UP", (2, 3, 1))],
)
def test_colladas_up_axis_becomes_z(
    axis: str, expected: tuple[int, int, int], tmp_path: Path
) -> None:
    text = (MESHES / "box.dae").read_text()
    assert "Y_UP" in text
    scaled = text.replace("Y_UP", axis)
    start = scaled.index(">", scaled.index("<float_array")) + 1
    end = scaled.index("<", start)
    points = np.array(scaled[start:end].split(), float).reshape(-1, 3) * 20 * [0.5, 1, 1.5]
    file = tmp_path / "box.dae"
    file.write_text(scaled[:start] + " ".join(map(str, points.ravel())) + scaled[end:])
    vertices = read_mesh(str(file)).vertices
    np.testing.assert_allclose(np.ptp(vertices, axis=0), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.stl", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        ("a.stl", b"<!DOCTYPE html>\n<html></html>", "is a web page"),
        ("a.obj", b"", "is empty"),
        ("a.stl", b"\0" * 80 + b"\xff\xff\xff\x7f", "it says 2147483647 triangles"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\n", "holds no triangles|cannot be read"),
        ("a.obj", b"v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "finite|cannot be read"),
        ("a.obj", b"v 0 0 0\nf 1 2 9\n", "holds no triangles|cannot be read"),
        ("a.step", b"ISO-10303-21;", "has the format '.step', but allowed are .stl"),
        ("a.dae", b'<!DOCTYPE x [<!ENTITY a "b">]><COLLADA/>', "declares entities"),
        ("a.glb", b"glTF\2\0\0\0\xff\xff\xff\xff", "cannot be read as GLB"),
    ],
)
def test_what_is_no_mesh_is_named(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(RobotDescriptionError, match=words):
        read_mesh(str(file))


def test_a_mesh_that_changes_gets_another_name(tmp_path: Path) -> None:
    store = MeshStore(tmp_path / "cache")
    file = tmp_path / "a.obj"
    file.write_bytes((MESHES / "box.obj").read_bytes())
    first = store.path(Mesh(str(file)))
    assert store.path(Mesh(str(file))) == first
    file.write_text((MESHES / "box.obj").read_text().replace("0.05", "0.07"))
    second = store.path(Mesh(str(file)))
    assert second != first
    np.testing.assert_allclose(read_mesh(str(second)).vertices.max(), 0.07)
    assert not list((tmp_path / "cache").glob("*.part"))


def test_an_ellipsoid_is_handed_over_as_its_surface(tmp_path: Path) -> None:
    path = MeshStore(tmp_path).ellipsoid(Ellipsoid((0.1, 0.2, 0.3)))
    np.testing.assert_allclose(
        read_mesh(str(path)).vertices.max(axis=0), [0.1, 0.2, 0.3], rtol=1e-6
    )


def test_a_closed_mesh_weighs_what_its_volume_weighs() -> None:
    of_mesh = shape_inertial(LinkShape(Mesh(str(MESHES / "box.obj"), (1.0, 2.0, -3.0))))
    of_box = shape_inertial(LinkShape(Box((0.1, 0.2, 0.3))))
    assert of_mesh is not None
    assert of_box is not None
    assert of_mesh.mass == pytest.approx(of_box.mass)
    np.testing.assert_allclose(of_mesh.inertia, of_box.inertia, rtol=1e-6, atol=1e-12)
