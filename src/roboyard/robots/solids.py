"""Masses and inertias of shapes that are filled evenly."""

from __future__ import annotations

import math

import numpy as np

from roboyard.errors import RobotDescriptionError
from roboyard.sim.mechanics import moved_inertial
from roboyard.sim.meshes import read_mesh
from roboyard.sim.model import (
    Box,
    Capsule,
    Cylinder,
    Ellipsoid,
    Floats,
    Geometry,
    Inertial,
    LinkShape,
    Mesh,
    Sphere,
)

DENSITY = 1000.0
"""Of water [kg/m^3]."""


def shape_inertial(shape: LinkShape, density: float = DENSITY) -> Inertial | None:
    """Return a shape's inertial in its link's frame, or None of a shape without a volume.

    Meshes that are not closed count as the box around them.

    Args:
        shape: The shape.
        density: [kg/m^3].
    """
    found = _geometry_inertial(shape.geometry, density)
    return moved_inertial(found, shape.pose) if found is not None else None


def _geometry_inertial(  # noqa: PLR0911
    geometry: Geometry, density: float
) -> Inertial | None:
    match geometry:
        case Box(size=size):
            return _box(np.array(size), density)
        case Sphere(radius=radius):
            return _ellipsoid(np.full(3, radius), density)
        case Ellipsoid(radii=radii):
            return _ellipsoid(np.array(radii), density)
        case Cylinder(radius=radius, length=length):
            mass = density * math.pi * radius**2 * length
            across = mass * (3 * radius**2 + length**2) / 12
            return _diagonal(mass, across, across, mass * radius**2 / 2)
        case Capsule(radius=radius, length=length):
            return _capsule(radius, length, density)
        case Mesh():
            return _mesh(geometry, density)
    return None


def _box(size: Floats, density: float) -> Inertial:
    mass = density * float(np.prod(size))
    x, y, z = (mass * size**2 / 12).tolist()
    return _diagonal(mass, y + z, x + z, x + y)


def _ellipsoid(radii: Floats, density: float) -> Inertial:
    mass = density * 4 / 3 * math.pi * float(np.prod(radii))
    x, y, z = (mass * radii**2 / 5).tolist()
    return _diagonal(mass, y + z, x + z, x + y)


def _capsule(radius: float, length: float, density: float) -> Inertial:
    tube = density * math.pi * radius**2 * length
    ball = density * 4 / 3 * math.pi * radius**3
    along = tube * radius**2 / 2 + ball * 0.4 * radius**2
    across = tube * (3 * radius**2 + length**2) / 12
    across += ball * (0.4 * radius**2 + length**2 / 4 + 3 * length * radius / 8)
    return _diagonal(tube + ball, across, across, along)


def _mesh(mesh: Mesh, density: float) -> Inertial | None:
    if mesh.vertices is not None and mesh.faces is not None:
        vertices, faces = mesh.vertices, mesh.faces
    else:
        try:
            vertices, faces, _ = read_mesh(mesh.file)
        except RobotDescriptionError:
            return None  # Reported where it is handed to the engine.
    vertices = vertices * np.array(mesh.scale)
    solid = _solid(vertices[faces], density)
    if solid is not None:
        return solid
    lower, upper = vertices.min(axis=0), vertices.max(axis=0)
    box = _box(np.maximum(upper - lower, 1e-6), density)
    return Inertial(box.mass, (lower + upper) / 2, box.inertia)


def _solid(corners: Floats, density: float) -> Inertial | None:
    """Return the inertial inside triangles, shape (triangles, 3, 3), if they enclose a volume.

    Each triangle and the origin span a tetrahedron; their signed integrals add up. Of triangles
    that do not close, the sum depends on the origin.
    """
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    if np.abs(normals.sum(axis=0)).max() > 1e-3 * np.abs(normals).sum():
        return None
    volumes = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    volume = float(volumes.sum())
    sums = corners.sum(axis=1)
    extent = np.ptp(corners.reshape(-1, 3), axis=0)
    if abs(volume) < 1e-3 * float(np.prod(extent)) or volume == 0:
        return None
    center = (volumes @ sums) / 4 / volume
    squares = np.einsum("t,tki,tkj->ij", volumes, corners, corners)
    second = (squares + np.einsum("t,ti,tj->ij", volumes, sums, sums)) / 20
    second = density * np.sign(volume) * (second - volume * np.outer(center, center))
    return Inertial(density * abs(volume), center, np.trace(second) * np.eye(3) - second)


def _diagonal(mass: float, xx: float, yy: float, zz: float) -> Inertial:
    return Inertial(mass, np.zeros(3), np.diag([xx, yy, zz]))
