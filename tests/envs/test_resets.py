"""A reset forgets the episode before it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from roboyard.envs.task_env import TaskEnv
from roboyard.testing.env_conformance import EnvConformance

ARM = """<robot name="arm">
  <link name="post"><inertial><mass value="5"/>
    <inertia ixx=".1" iyy=".1" izz=".1" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <link name="rod"><inertial><origin xyz="0 0 0.2"/><mass value="0.5"/>
    <inertia ixx=".002" iyy=".002" izz=".0005" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <joint name="swing" type="revolute"><parent link="post"/><child link="rod"/>
    <origin xyz="0 0 0.5"/><axis xyz="1 0 0"/>
    <limit lower="-1.5" upper="1.5" effort="50" velocity="5"/></joint>
</robot>"""
GAINS = {"pd": {"stiffness": 30.0, "damping": 1.0}}


def arm(folder: Path, control: str) -> dict[str, object]:
    (folder / "arm.urdf").write_text(ARM)
    actuator = {"joints": ["swing"], "control": control, "scale": 1.0, **GAINS.get(control, {})}
    return {
        "robot": {
            "file": str(folder / "arm.urdf"), "fixed_base": True, "position": [0, 0, 1],
            "actuators": [actuator],
        },
        "ground": {"type": "none"},
        "substeps": 4,
        "observations": {"effort": {"term": "joint_efforts"}},
        "rewards": {"alive": {"term": "alive"}},
    }  # fmt: skip


@pytest.mark.parametrize("control", ["torque", "pd", "position", "velocity"])
def test_efforts_are_zero_at_a_reset_whatever_was_before(tmp_path: Path, control: str) -> None:
    task = arm(tmp_path, control)
    with closing(TaskEnv(task)) as env, closing(TaskEnv(task)) as twin:
        assert env.reset(seed=1)[0] == 0.0
        for _ in range(7):
            effort = env.step(np.ones(1, np.float32))[0]
        assert effort != 0.0
        twin.restore(env.snapshot())
        assert env.reset(seed=1)[0] == 0.0
        assert twin.reset(seed=1)[0] == 0.0


def test_the_conformance_suite_finds_what_a_reset_leaves() -> None:
    suite = EnvConformance()
    suite.make = lambda **_: Leaking()  # type: ignore[method-assign]
    with pytest.raises(AssertionError, match="after a snapshot at 0"):
        suite.test_a_reset_tells_nothing_of_what_was_before()


class Leaking(TaskEnv):
    """Shows the last action of the episode before."""

    def __init__(self) -> None:
        self._shown = 0.0
        super().__init__("cartpole-balance")

    def _apply(self, action: np.ndarray) -> None:
        self._shown = float(action[0])
        super()._apply(action)

    def _observe(self) -> np.ndarray:
        return np.asarray(super()._observe()) + np.float32(self._shown if not self._elapsed else 0)
