"""Terms about objects and links: expected numbers are worked out by hand, contacts are weighed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from roboyard.config.tasks import TermConfig
from roboyard.envs.managers.binding import BoundTerm, bind
from roboyard.envs.mdp import EVENTS, OBSERVATIONS, REWARDS, TERMINATIONS, TermSetup
from roboyard.envs.task_env import TaskEnv
from roboyard.errors import RobotDescriptionError
from roboyard.robots import RobotState

HALF = math.sqrt(0.5)
LINKS = ["panda_leftfinger", "panda_rightfinger"]
Value = Callable[..., Any]


@pytest.fixture(scope="module")
def loaded() -> Iterator[TaskEnv]:
    contacts = {"term": "object_contacts", "params": {"name": "cube"}}
    env = TaskEnv("panda-push", overrides={"observations": {"touch": contacts}})
    yield env
    env.close()


@pytest.fixture
def env(loaded: TaskEnv) -> TaskEnv:
    loaded.reset(seed=0)
    return loaded


@pytest.fixture
def state(env: TaskEnv) -> RobotState:
    state = env.state
    state.objects["cube"] = (0.3, 0.4, 0.02)
    state.commands = {"goal": np.array([0.0, 0.0, 0.02])}
    return state


def term(env: TaskEnv, registry: Any, name: str, /, **params: Any) -> BoundTerm:
    setup = TermSetup(env.robot, env.control_period, tuple(env.task.objects), ("goal",))
    return bind(registry, "terms", "it", TermConfig(term=name, params=params), setup)


@pytest.fixture
def value(env: TaskEnv, state: RobotState) -> Value:
    return lambda registry, name, /, **params: term(env, registry, name, **params).call(state)


def test_an_object_lies_turned_by_a_quarter(state: RobotState, value: Value) -> None:
    state.object_orientations["cube"] = (0.0, 0.0, -HALF, -HALF)
    turned = value(OBSERVATIONS, "object_orientation", name="cube")
    assert turned == pytest.approx((0.0, 0.0, HALF, HALF))
    euler = value(OBSERVATIONS, "object_euler", name="cube")
    assert euler == pytest.approx((0.0, 0.0, math.pi / 2))


def test_an_object_moves_and_turns_as_the_record_says(state: RobotState, value: Value) -> None:
    state.object_velocities["cube"] = (1.0, 2.0, 3.0)
    state.object_turnings["cube"] = (4.0, 5.0, 6.0)
    assert value(OBSERVATIONS, "object_velocity", name="cube") == (1.0, 2.0, 3.0)
    assert value(OBSERVATIONS, "object_angular_velocity", name="cube") == (4.0, 5.0, 6.0)
    assert value(OBSERVATIONS, "object_position", name="cube", axes="zx") == [0.02, 0.3]


def test_an_object_is_half_a_metre_from_its_goal(value: Value) -> None:
    distance = value(REWARDS, "object_point_distance", name="cube", command="goal")
    assert distance == pytest.approx(0.5)


def test_a_link_is_where_its_row_says_and_as_far_from_an_object(
    env: TaskEnv, state: RobotState, value: Value
) -> None:
    x, y, z = state.link_rows[env.robot.link("panda_hand")][0]
    assert value(OBSERVATIONS, "link_place", link="panda_hand") == (x, y, z)
    apart = value(OBSERVATIONS, "link_from_object", link="panda_hand", name="cube")
    assert apart == pytest.approx([x - 0.3, y - 0.4, z - 0.02])
    velocity = state.link_rows[env.robot.link("panda_hand")][6]
    assert value(OBSERVATIONS, "link_motion", link="panda_hand") == velocity


def test_links_are_seen_from_the_base(env: TaskEnv, state: RobotState, value: Value) -> None:
    state.base_position, state.base_orientation = (-0.6, 0.0, 0.0), (0.0, 0.0, HALF, HALF)
    x, y, z = state.link_rows[env.robot.link("panda_hand")][0]
    seen = value(OBSERVATIONS, "link_positions", links=["panda_hand"])
    assert seen == pytest.approx([y, -(x + 0.6), z])


def test_an_object_is_held_while_both_fingers_press_it(
    env: TaskEnv, state: RobotState, value: Value
) -> None:
    left, right = (env.robot.link(name) for name in LINKS)
    state.object_contacts["cube"] = {left: 5.0}
    assert value(OBSERVATIONS, "object_contacts", name="cube", links=LINKS) == [5.0, 0.0]
    assert value(REWARDS, "object_held", name="cube", links=LINKS) == 0.0
    state.object_contacts["cube"] = {left: 5.0, right: 4.0}
    assert value(REWARDS, "object_held", name="cube", links=LINKS) == 1.0


def test_an_object_that_left_its_box_is_out_of_bounds(state: RobotState, value: Value) -> None:
    def out() -> bool:
        return bool(
            value(TERMINATIONS, "object_out_of_bounds", name="cube", low=[None, None, -0.1])
        )

    assert not out()
    state.objects["cube"] = (0.3, 0.4, -0.2)
    assert out()


def test_an_approach_is_what_the_distance_lost(
    env: TaskEnv, state: RobotState, value: Value
) -> None:
    del value  # Unused.
    approach = term(env, REWARDS, "approach", link="panda_hand", name="cube")
    x, y, z = state.link_rows[env.robot.link("panda_hand")][0]
    state.objects["cube"] = (x, y, z - 0.5)
    assert approach.memory is not None
    approach.memory.reset(state)
    state.objects["cube"] = (x, y, z - 0.2)
    assert approach.call(state) == pytest.approx(0.3)


def test_a_hand_that_presses_the_cube_down_is_felt_by_its_fingers(env: TaskEnv) -> None:
    cube = env.scene.things["cube"].body
    for _ in range(40):
        hand, here = env.state.link_rows[env.robot.link("panda_grasptarget")][0], env.state.objects
        gap = np.array(here["cube"]) - np.array(hand)
        gap[2] = -0.05 if np.abs(gap[:2]).max() < 0.005 else 0.0
        env.step(np.clip(gap / 0.05, -1, 1).astype(np.float32))
    touching = env.state.object_contacts["cube"]
    assert set(touching) & {env.robot.link(name) for name in LINKS}
    assert sum(touching.values()) > 1.0
    assert env.world.base(cube).position[2] == pytest.approx(0.02, abs=0.005)


def test_a_reset_object_lies_where_it_was_drawn(env: TaskEnv) -> None:
    context = env._context()
    call = term(env, EVENTS, "reset_object", name="cube", x=0.1, y=-0.2, yaw=math.pi / 2).call
    env.world.restore(env._just_loaded)
    assert call(context)["position"] == pytest.approx([0.1, -0.2, 0.02])
    base = env.world.base(env.scene.things["cube"].body)
    assert base.position == pytest.approx((0.1, -0.2, 0.02))
    assert base.orientation == pytest.approx((0.0, 0.0, HALF, HALF))


def test_a_heavier_cube_has_more_inertia_and_the_next_reset_undoes_it(env: TaskEnv) -> None:
    cube = env.scene.things["cube"].body
    before = env.world.link_properties(cube, -1)
    # A cube of 1 kg and edges of 4 cm: m a^2 / 6.
    assert before.inertia == pytest.approx([1.0 * 0.04**2 / 6] * 3)
    happen = term(env, EVENTS, "randomize_object", name="cube", mass=2.0, friction=0.3).call
    assert happen(env._context()) == {"mass": 2.0, "friction": 0.3}
    after = env.world.link_properties(cube, -1)
    assert (after.mass, after.lateral_friction) == (2.0, 0.3)
    assert after.inertia == pytest.approx([2 * entry for entry in before.inertia])
    env.reset()
    assert env.world.link_properties(cube, -1) == before


def test_a_table_has_no_mass_to_vary(env: TaskEnv) -> None:
    happen = term(env, EVENTS, "randomize_object", name="table", mass=2.0).call
    with pytest.raises(RobotDescriptionError, match=r"'table' has 0 kg.*give it a mass"):
        happen(env._context())


def test_a_mesh_is_an_object_too() -> None:
    duck = {
        "shape": "mesh", "file": "pybullet_data:duck.obj", "scale": 0.05, "mass": 0.2,
        "position": [0.0, 0.2, 0.05], "rotation": [math.pi / 2, 0, 0],
    }  # fmt: skip
    env = TaskEnv("panda-push", overrides={"objects": {"duck": duck}})
    env.reset(seed=0)
    for _ in range(20):
        env.step(np.zeros(3, np.float32))
    assert abs(env.state.objects["duck"][2]) < 0.05  # it lies on the table
    data = env.snapshot()
    expected = env.step(np.ones(3, np.float32))[0]["observation"]
    env.restore(data)
    assert env.step(np.ones(3, np.float32))[0]["observation"].tolist() == expected.tolist()
    env.close()
