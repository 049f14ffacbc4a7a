"""Actuators that push links, and robots without joints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roboyard.config.robots import ActuatorConfig, RobotSpec
from roboyard.envs.task_env import TaskEnv
from roboyard.errors import ConfigError
from roboyard.robots import Robot, load_robot
from roboyard.sim import World, WorldConfig

STEP = 0.005
BOX = """<robot name="box">
  <link name="hull">
    <inertial><origin xyz="0.1 0 0"/><mass value="2"/>
      <inertia ixx="0.02" ixy="0" ixz="0" iyy="0.03" iyz="0" izz="0.04"/></inertial>
    <collision><geometry><box size="0.2 0.2 0.2"/></geometry></collision>
  </link>
</robot>"""


def world_without_gravity() -> World:
    return World(WorldConfig(time_step=STEP, gravity=(0.0, 0.0, 0.0)))


def box(folder: Path, **actuator: object) -> RobotSpec:
    file = folder / "box.urdf"
    file.write_text(BOX)
    group = {"control": "thrust", "links": ["hull"], **actuator}
    return load_robot({"file": str(file), "actuators": [group]})


def pushed(spec: RobotSpec, action: float, steps: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Return velocity of the base's origin and angular velocity after some steps."""
    with world_without_gravity() as world:
        robot = Robot(world, spec)
        for _ in range(steps):
            robot.command(np.full(robot.num_actions, action))
            robot.drive()
            world.step()
        base = world.base(robot.body)
        return np.array(base.linear_velocity), np.array(base.angular_velocity)


def test_a_force_through_the_centre_of_mass_accelerates_by_force_over_mass(tmp_path: Path) -> None:
    spec = box(tmp_path, scale=4.0, points={"hull": [0.1, 0.0, 0.0]}, axis=[0, 2, 0])
    linear, angular = pushed(spec, 1.0)
    assert linear == pytest.approx([0.0, 4.0 / 2.0 * 20 * STEP, 0.0], rel=1e-2, abs=1e-6)
    assert angular == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)


def test_a_force_beside_the_centre_of_mass_turns(tmp_path: Path) -> None:
    _, angular = pushed(box(tmp_path, scale=0.1, axis=[0, 1, 0]), 1.0, steps=4)
    assert angular[2] == pytest.approx(-0.1 * 0.1 / 0.04 * 4 * STEP, rel=1e-2)


def test_a_propeller_lifts_by_its_speed_squared_and_turns_by_its_moment(tmp_path: Path) -> None:
    spec = box(
        tmp_path, scale=100.0, offset=100.0, thrust_coefficient=1e-4, moment_ratio=0.02,
        points={"hull": [0.1, 0.0, 0.0]},
    )  # fmt: skip
    thrust = 1e-4 * 150.0**2
    linear, angular = pushed(spec, 0.5)
    assert linear[2] == pytest.approx(thrust / 2.0 * 20 * STEP, rel=1e-2)
    assert angular == pytest.approx([0, 0, thrust * 0.02 / 0.04 * 20 * STEP], rel=2e-2, abs=1e-6)


def test_effort_limit_limits_thrust(tmp_path: Path) -> None:
    spec = box(tmp_path, scale=100.0, effort_limit=1.0, points={"hull": [0.1, 0.0, 0.0]})
    linear, _ = pushed(spec, 1.0)
    assert linear[2] == pytest.approx(1.0 / 2.0 * 20 * STEP, rel=1e-2)


def test_thrust_turns_with_its_link() -> None:
    with world_without_gravity() as world:
        spec = load_robot("quadrotor").model_copy(update={"rotation": (np.pi / 2, 0.0, 0.0)})
        robot = Robot(world, spec)
        robot.command(np.zeros(4))
        robot.drive()
        world.step()
        linear = np.array(world.base(robot.body).linear_velocity)
    assert linear == pytest.approx([0.0, -9.81 * STEP, 0.0], rel=1e-2, abs=1e-3)


def test_a_quadrotor_at_hover_speed_stays() -> None:
    with World(WorldConfig(time_step=STEP)) as world:
        robot = Robot(world, load_robot("quadrotor"))
        for _ in range(100):
            robot.command(np.zeros(4))
            robot.drive()
            world.step()
        base = world.base(robot.body)
    assert base.position == pytest.approx((0.0, 0.0, 1.0), abs=0.01)
    assert base.angular_velocity == pytest.approx((0.0, 0.0, 0.0), abs=1e-3)


def test_left_and_right_propellers_turn_the_quadrotor() -> None:
    with world_without_gravity() as world:
        robot = Robot(world, load_robot("quadrotor"))
        for _ in range(20):
            robot.command(np.array([1.0, -1.0, 1.0, -1.0]))
            robot.drive()
            world.step()
        turning = world.base(robot.body).angular_velocity
    assert turning[2] > 0.1
    assert turning[:2] == pytest.approx((0.0, 0.0), abs=1e-3)


def test_snapshots_of_a_flight_are_exact() -> None:
    env = TaskEnv("quadrotor-hover")
    env.reset(seed=3)
    actions = np.random.default_rng(0).uniform(-0.3, 0.3, (30, 4)).astype(np.float32)
    for action in actions[:10]:
        env.step(action)
    kept = env.snapshot()
    first = [env.step(action)[0] for action in actions[10:]]
    env.restore(kept)
    again = [env.step(action)[0] for action in actions[10:]]
    env.close()
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ({"control": "thrust"}, "needs links"),
        ({"control": "thrust", "links": ["hull"], "joints": ["*"]}, "takes no joints"),
        ({"control": "thrust", "links": ["hull"], "axis": [0, 0, 0]}, "must have a direction"),
        ({"control": "torque", "joints": ["*"], "links": ["hull"]}, "takes no links"),
        ({"control": "torque"}, "needs joints"),
    ],
)
def test_a_wrong_group_is_named(tmp_path: Path, group: dict[str, object], words: str) -> None:
    file = tmp_path / "box.urdf"
    file.write_text(BOX)
    with pytest.raises(ConfigError, match=words):
        load_robot({"file": str(file), "actuators": [group]})


def test_a_group_is_of_joints_unless_it_pushes() -> None:
    assert ActuatorConfig(joints=("*",)).links == ()
