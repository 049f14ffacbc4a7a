"""The engines that ship do what any engine must do; rotations are those of PyBullet."""

from __future__ import annotations

import numpy as np
import pytest

from roboyard.registry import resolve_entry
from roboyard.sim import rotations
from roboyard.sim.pybullet.engine import pybullet
from roboyard.sim.pybullet.loading import find_description
from roboyard.testing.engine_conformance import EngineConformance


class TestPyBullet(EngineConformance):
    engine = "pybullet"


class TestMuJoCo(EngineConformance):
    engine = "mujoco"


def test_rotations_equal_those_of_pybullet_bit_for_bit() -> None:
    generator = np.random.default_rng(0)
    for _ in range(500):
        angles = tuple(generator.uniform(-3.2, 3.2, 3).tolist())
        one, other = (
            tuple((row / np.linalg.norm(row)).tolist()) for row in generator.normal(size=(2, 4))
        )
        assert rotations.quaternion(angles) == pybullet.getQuaternionFromEuler(angles)
        assert rotations.euler_angles(one) == pybullet.getEulerFromQuaternion(one)
        zero = (0.0, 0.0, 0.0)
        expected = pybullet.multiplyTransforms(zero, one, zero, other)[1]
        assert rotations.multiplied(one, other) == expected


def test_a_name_from_before_the_move_still_resolves_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match=r"is now 'roboyard\.sim\.pybullet\.loading'"):
        found = resolve_entry("roboyard.sim.loading:find_description")
    assert found is find_description
