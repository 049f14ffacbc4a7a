"""Rotations as quaternions (x, y, z, w) and as roll, pitch, yaw, without an engine.

The formulas, single precision in :func:`multiplied` included, are those of PyBullet, bit for bit:
tasks keep their trajectories. Roll, pitch and yaw are turns about the fixed x, y and z axes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from roboyard.sim.settings import Quaternion, Vector

_GIMBAL_LOCK = 0.99999
"""Sine of the pitch from which roll and yaw cannot be told apart."""

Matrix = NDArray[np.float32]


def euler_angles(orientation: Quaternion) -> Vector:
    """Return roll, pitch and yaw [rad] of an orientation (x, y, z, w)."""
    x, y, z, w = orientation
    sine = -2.0 * (x * z - w * y)
    if sine <= -_GIMBAL_LOCK:
        return 0.0, -0.5 * math.pi, 2 * math.atan2(x, -y)
    if sine >= _GIMBAL_LOCK:
        return 0.0, 0.5 * math.pi, 2 * math.atan2(-x, y)
    xx, yy, zz, ww = x * x, y * y, z * z, w * w
    roll = math.atan2(2 * (y * z + w * x), ww - xx - yy + zz)
    return roll, math.asin(sine), math.atan2(2 * (x * y + w * z), ww + xx - yy - zz)


def moved_velocity(linear: Vector, angular: Vector, away: Vector) -> Vector:
    """Return the velocity of a point that lies ``away`` [m] from one with velocity ``linear``."""
    (a, b, c), (x, y, z) = angular, away
    return linear[0] + b * z - c * y, linear[1] + c * x - a * z, linear[2] + a * y - b * x


def quaternion(angles: Vector) -> Quaternion:
    """Return the orientation (x, y, z, w) of roll, pitch and yaw [rad]."""
    roll, pitch, yaw = (angle / 2.0 for angle in angles)
    sr, cr = math.sin(roll), math.cos(roll)
    sp, cp = math.sin(pitch), math.cos(pitch)
    sy, cy = math.sin(yaw), math.cos(yaw)
    x = sr * cp * cy - cr * sp * sy
    y = cr * sp * cy + sr * cp * sy
    z = cr * cp * sy - sr * sp * cy
    w = cr * cp * cy + sr * sp * sy
    size = math.sqrt(x * x + y * y + z * z + w * w)
    return x / size, y / size, z / size, w / size


def multiplied(second: Quaternion, first: Quaternion) -> Quaternion:
    """Return the orientation of turning by ``first`` and then by ``second``.

    Accurate to single precision, about 1e-7.
    """
    a, b = _matrix(second), _matrix(first)
    product = np.empty((3, 3), np.float32)
    for i in range(3):
        for j in range(3):
            product[i, j] = b[0, j] * a[i, 0] + b[1, j] * a[i, 1] + b[2, j] * a[i, 2]
    return _quaternion_of(product)


def _matrix(orientation: Quaternion) -> Matrix:
    x, y, z, w = np.array(orientation, np.float32)
    one = np.float32(1.0)
    scale = np.float32(2.0) / (x * x + y * y + z * z + w * w)
    xs, ys, zs = x * scale, y * scale, z * scale
    wx, wy, wz = w * xs, w * ys, w * zs
    xx, xy, xz = x * xs, x * ys, x * zs
    yy, yz, zz = y * ys, y * zs, z * zs
    rows = (
        (one - (yy + zz), xy - wz, xz + wy),
        (xy + wz, one - (xx + zz), yz - wx),
        (xz - wy, yz + wx, one - (xx + yy)),
    )
    return np.array(rows, np.float32)


def _quaternion_of(m: Matrix) -> Quaternion:
    half, one = np.float32(0.5), np.float32(1.0)
    found = np.empty(4, np.float32)
    trace = m[0, 0] + m[1, 1] + m[2, 2]
    if trace > 0:
        root = np.sqrt(trace + one)
        scale = half / root
        found[:] = (
            (m[2, 1] - m[1, 2]) * scale,
            (m[0, 2] - m[2, 0]) * scale,
            (m[1, 0] - m[0, 1]) * scale,
            root * half,
        )
    else:
        i = int(np.argmax(np.diag(m)))  # the largest keeps the root away from 0
        j, k = (i + 1) % 3, (i + 2) % 3
        root = np.sqrt(m[i, i] - m[j, j] - m[k, k] + one)
        scale = half / root
        found[i] = root * half
        found[3] = (m[k, j] - m[j, k]) * scale
        found[j] = (m[j, i] + m[i, j]) * scale
        found[k] = (m[k, i] + m[i, k]) * scale
    x, y, z, w = found.tolist()
    return x, y, z, w
