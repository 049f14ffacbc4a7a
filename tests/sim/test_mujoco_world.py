"""What MuJoCo's worlds refuse, and robots that are the same in both engines."""

from __future__ import annotations

import subprocess
import sys

import pytest

from roboyard.envs.task_env import TaskEnv
from roboyard.errors import SimulationError
from roboyard.robots.robot import Robot
from roboyard.robots.spec import load_robot
from roboyard.sim import Dynamics, Shape, WorldConfig, open_world
from roboyard.sim.rows import BASE
from roboyard.sim.snapshot import pack, unpack

ENGINES = ("pybullet", "mujoco")
ON_MUJOCO = {"world": {"engine": "mujoco"}}
TASKS = (
    *("cartpole-balance", "hopper-run", "walker2d-run", "halfcheetah-run", "ant-run"),
    *("humanoid-run", "a1-velocity", "a1-velocity-terrain", "panda-reach", "panda-push"),
    "panda-pick-and-place",
)


@pytest.mark.parametrize("name", ["a1", "ant", "hopper", "humanoid", "walker2d", "laikago"])
def test_a_robot_weighs_the_same_in_both_engines(name: str) -> None:
    found = []
    for engine in ENGINES:
        with open_world(WorldConfig(engine=engine)) as world:
            robot = Robot(world, load_robot(name))
            links = range(BASE, len(robot.link_names))
            mass = sum(world.link_properties(robot.body, link).mass for link in links)
            found.append((robot.joint_names, mass))
    assert found[0][0] == found[1][0]
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-3)


@pytest.mark.parametrize("task", TASKS)
def test_a_task_runs_on_mujoco_and_continues_exactly(task: str) -> None:
    env = TaskEnv(task, overrides=ON_MUJOCO)
    env.reset(seed=1)
    env.action_space.seed(1)
    plan = [env.action_space.sample() for _ in range(30)]
    for action in plan[:10]:
        if any(env.step(action)[2:4]):
            env.reset()
    data = env.snapshot()
    expected = [env.step(action)[1] for action in plan[10:]]
    env.close()
    other = TaskEnv(task, overrides=ON_MUJOCO)
    other.reset(seed=5)
    other.restore(data)
    assert [other.step(action)[1] for action in plan[10:]] == expected
    other.close()


def test_a_snapshot_of_another_engine_or_version_is_refused_by_name() -> None:
    with (
        open_world(WorldConfig(engine="mujoco")) as one,
        open_world(WorldConfig(engine="pybullet")) as other,
    ):
        one.load_plane()
        other.load_plane()
        with pytest.raises(SimulationError, match="mujoco"):
            other.load_snapshot(one.snapshot())
        with pytest.raises(SimulationError, match="another engine"):
            one.load_snapshot(other.snapshot())
        state = unpack("world", one.snapshot()) | {"version": "2.1.0"}
        with pytest.raises(SimulationError, match=r"mujoco==2\.1\.0"):
            one.load_snapshot(pack("world", state))


def test_what_mujoco_has_not_is_refused_by_name() -> None:
    with open_world(WorldConfig(engine="mujoco")) as world:
        ball = world.add_shape(Shape("sphere", (0.1,), mass=1.0))
        for name in ("linear_damping", "max_joint_velocity", "contact_stiffness"):
            with pytest.raises(SimulationError, match=name):
                world.set_dynamics(ball, BASE, Dynamics(**{name: 0.5}))


def test_a_window_is_refused() -> None:
    with pytest.raises(SimulationError, match="window"):
        open_world(WorldConfig(engine="mujoco", gui=True))


def test_without_mujoco_one_line_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['mujoco'] = None\n"
        "from roboyard.sim import WorldConfig, open_world\n"
        "try:\n    open_world(WorldConfig(engine='mujoco'))\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (line,) = done.stdout.splitlines()
    assert "roboyard[mujoco]" in line
