"""Randomised physics: what an event sets is what the engine then does, and a reset undoes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from roboyard.config.tasks import TermConfig
from roboyard.envs.managers.binding import bind
from roboyard.envs.mdp import EVENTS, TermSetup
from roboyard.envs.mdp.randomization import robot_mass
from roboyard.envs.task_env import TaskEnv
from roboyard.errors import ConfigError, RobotDescriptionError, SimulationError
from roboyard.robots.robot import BASE
from roboyard.sim import LinkProperties

LINKS = 21  # of the A1, without its base
TRUNK_MASS = 4.713


def make(**events: Any) -> TaskEnv:
    task = TaskEnv("a1-velocity").task.model_dump(mode="json")
    return TaskEnv({**task, "events": events})


@pytest.fixture(scope="module")
def plain() -> Iterator[TaskEnv]:
    env = make()
    yield env
    env.close()


@pytest.fixture
def env(plain: TaskEnv) -> TaskEnv:
    plain.reset(seed=0)
    return plain


def happen(env: TaskEnv, term: str, **params: Any) -> Any:
    config = TermConfig(term=term, params=params)
    bound = bind(EVENTS, "events", "it", config, TermSetup(env.robot, env.control_period))
    return bound.call(env._context())


def properties(env: TaskEnv, link: int = BASE) -> LinkProperties:
    return env.world.link_properties(env.robot.body, link)


def everything(env: TaskEnv) -> list[Any]:
    links = [properties(env, link) for link in range(-1, LINKS)]
    ground = env.world.link_properties(env.scene.grounds[0], BASE)
    numbers = [actuator.get_state() for actuator in env.robot.actuators]
    plain = [{name: values.tolist() for name, values in row.items()} for row in numbers]
    return [links, ground, plain, env.state.encoder_offsets.tolist()]


def test_a_scaled_mass_scales_its_inertia(env: TaskEnv) -> None:
    before = properties(env)
    drawn = happen(env, "randomize_mass", links=["base"], value=1.5)
    after = properties(env)
    assert before.mass == pytest.approx(TRUNK_MASS)
    assert after.mass == pytest.approx(1.5 * TRUNK_MASS)
    assert after.inertia == pytest.approx([1.5 * entry for entry in before.inertia])
    assert drawn == {"masses": [after.mass]}


@pytest.mark.parametrize(("how", "mass"), [("add", TRUNK_MASS + 0.5), ("set", 0.5)])
def test_a_mass_can_be_added_or_set(how: str, mass: float, env: TaskEnv) -> None:
    happen(env, "randomize_mass", links=["base"], value=0.5, how=how)
    assert properties(env).mass == pytest.approx(mass)


def center_of_mass(env: TaskEnv) -> np.ndarray:
    """Return the centre of mass of base and links [m], and check nothing else."""
    rows = env.world.link_reader(env.robot.body, range(LINKS))()
    places = [env.world.base(env.robot.body).position, *(row[0] for row in rows)]
    masses = [properties(env, link).mass for link in range(-1, LINKS)]
    return np.average(np.array(places), axis=0, weights=masses)


def test_the_centre_of_mass_moves_as_drawn_and_the_weight_stays(env: TaskEnv) -> None:
    turn_by_a_quarter(env)
    before, weight = center_of_mass(env), robot_mass(env.robot)
    drawn = happen(env, "randomize_center_of_mass", x=0.02, y=-0.01, z=0.005)
    moved = center_of_mass(env) - before
    # The robot faces y: forwards is y, left is -x.
    assert moved == pytest.approx([0.01, 0.02, 0.005], abs=1e-6)
    assert robot_mass(env.robot) == pytest.approx(weight)
    assert drawn == {"shift": [0.02, -0.01, 0.005]}
    env.reset()
    assert robot_mass(env.robot) == pytest.approx(weight)


def turn_by_a_quarter(env: TaskEnv) -> None:
    base = env.world.base(env.robot.body)
    half = np.sqrt(0.5)
    env.world.set_base(env.robot.body, base._replace(orientation=(0.0, 0.0, half, half)))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"x": 0.9}, SimulationError, "mass of link .* must be more than 0"),
        ({"x": 0.1, "links": ["base"]}, RobotDescriptionError, "cannot be shifted by.*name others"),
    ],
)
def test_an_impossible_centre_of_mass_is_refused(
    params: dict[str, Any], error: type[Exception], message: str, env: TaskEnv
) -> None:
    with pytest.raises(error, match=message):
        happen(env, "randomize_center_of_mass", **params)


def test_a_bouncier_ground_and_feet_set_what_the_engine_has(env: TaskEnv) -> None:
    happen(env, "randomize_restitution", value=0.4, links=["*_toe"])
    assert [properties(env, foot).restitution for foot in env.robot.feet] == [0.4] * 4


def test_joint_damping_slows_a_free_leg(env: TaskEnv) -> None:
    def speed_after(damping: float) -> float:
        env.world.restore(env._just_loaded)
        joint = env.robot.joint_names.index("FR_lower_joint")
        happen(env, "randomize_joint_damping", value=damping, joints=["FR_lower_joint"])
        env.robot.set_joints([joint], np.array([-1.6]), np.array([5.0]))
        env.world.step()
        env.state.read()
        return float(env.state.joint_velocities[joint])

    assert abs(speed_after(1.0)) < 0.5 * abs(speed_after(0.0))


def test_a_payload_leaves_the_inertia_and_weighs_on_the_feet(env: TaskEnv) -> None:
    before = properties(env)
    happen(env, "payload", mass=3.0)
    assert properties(env).mass == pytest.approx(TRUNK_MASS + 3.0)
    assert properties(env).inertia == pytest.approx(before.inertia)
    heights = []
    for load in (0.0, 4.0):
        env.reset(seed=0)
        happen(env, "payload", mass=load)
        for _ in range(60):
            env.step(np.zeros(12))
        heights.append(env.state.base_position[2])
    assert heights[1] < heights[0] - 0.003


def test_a_mass_below_zero_is_an_error_that_names_the_link(env: TaskEnv) -> None:
    with pytest.raises(SimulationError, match=r"mass of link .* would be -1.*Narrow"):
        happen(env, "randomize_mass", links=["base"], value=-1, how="set")


def test_values_are_drawn_for_each_link_or_shared(env: TaskEnv) -> None:
    wide = {"type": "uniform", "low": 0.5, "high": 1.5}
    each = happen(env, "randomize_friction", value=wide, shared=False)["frictions"]
    assert len(set(each)) == LINKS + 1
    (one,) = happen(env, "randomize_friction", value=wide)["frictions"]
    assert {properties(env, link).lateral_friction for link in range(-1, LINKS)} == {one}


def test_the_ground_takes_friction_and_limited_restitution(env: TaskEnv) -> None:
    drawn = happen(env, "randomize_ground", friction=0.3, restitution=7)
    assert drawn == {"friction": 0.3, "restitution": 1.0}
    ground = env.world.link_properties(env.scene.grounds[0], BASE)
    assert (ground.lateral_friction, ground.restitution) == (0.3, 1.0)


def test_a_slippery_robot_slides_on(env: TaskEnv) -> None:
    ways = []
    for friction in (0.0, 1.0):
        env.reset(seed=0)
        happen(env, "randomize_friction", value=friction)
        for _ in range(25):  # until it has landed
            env.step(np.zeros(12))
        happen(env, "push", x=1.0)
        start = env.state.base_position[0]
        for _ in range(25):
            env.step(np.zeros(12))
        ways.append(env.state.base_position[0] - start)
    assert ways[0] > 0.35
    assert ways[1] < 0.15


def test_gains_and_strength_change_the_torque(env: TaskEnv) -> None:
    """An error of 0.3 * 0.5 rad at rest gives 40 * 0.15 = 6 N m, 7.2 with 1.2 times the gain."""
    (actuator,) = env.robot.actuators
    thigh = actuator.names.index("FL_upper_joint")

    def torque() -> float:
        at_rest = env.robot.initial_positions
        env.robot.set_joints(list(range(12)), at_rest, np.zeros(12))
        env.robot.command(np.full(12, 0.5))
        env.robot.drive()
        env.world.step()  # the engine keeps torques until it steps
        return float(actuator.torques[thigh])

    assert torque() == pytest.approx(6.0)
    happen(env, "randomize_gains", stiffness=1.2, damping=0.5)
    assert torque() == pytest.approx(7.2)
    assert actuator.damping[0] == pytest.approx(0.5)
    happen(env, "randomize_motor_strength", factor=0.5)
    assert torque() == pytest.approx(3.6)
    assert actuator.effort_limit[thigh] == pytest.approx(33.5 / 2)


def test_an_encoder_that_shows_too_much_holds_the_joint_too_low(env: TaskEnv) -> None:
    targets = env.robot.actuators[0].offset.copy()
    happen(env, "joint_offsets", offset=0.02)
    np.testing.assert_allclose(env.robot.actuators[0].offset, targets - 0.02)
    np.testing.assert_allclose(env.state.encoder_offsets, 0.02)


def test_gravity_is_added_to(env: TaskEnv) -> None:
    drawn = happen(env, "randomize_gravity", z=4.81, x=1)
    assert drawn["gravity"] == pytest.approx([1.0, 0.0, -5.0])
    env.world.set_base(env.robot.body, env.world.base(env.robot.body)._replace(position=(0, 0, 9)))
    start = env.world.base(env.robot.body).linear_velocity
    for _ in range(5):
        env.world.step()
    change = np.subtract(env.world.base(env.robot.body).linear_velocity, start)
    assert change == pytest.approx([0.02, 0.0, -0.1], abs=0.003)  # over 0.02 s


def test_a_push_adds_to_the_velocity(env: TaskEnv) -> None:
    before = env.world.base(env.robot.body)
    happen(env, "push", x=0.5, z=-0.25, turning=1)
    after = env.world.base(env.robot.body)
    change = np.subtract(after.linear_velocity, before.linear_velocity)
    assert change == pytest.approx([0.5, 0, -0.25])
    assert after.angular_velocity[2] - before.angular_velocity[2] == pytest.approx(1.0)
    assert after.position == pytest.approx(before.position)


def test_the_base_starts_where_it_is_told(env: TaskEnv) -> None:
    before = env.world.base(env.robot.body)
    happen(env, "reset_base", x=1, y=-2, z=0.1, yaw=np.pi / 2, velocity=0.3)
    after = env.world.base(env.robot.body)
    assert np.subtract(after.position, before.position) == pytest.approx([1, -2, 0.1])
    env.state.begin()
    assert env.state.base_euler[2] == pytest.approx(np.pi / 2, abs=5e-3)
    assert env.state.base_velocity == pytest.approx((0.3, 0.3, 0.3))


def test_joints_start_within_their_limits(env: TaskEnv) -> None:
    happen(env, "reset_joint_state", position=99, velocity=0.5)
    env.state.begin()
    np.testing.assert_allclose(env.state.joint_positions, env.robot.upper)
    np.testing.assert_allclose(env.state.joint_velocities, 0.5)


def test_a_reset_undoes_everything() -> None:
    env = TaskEnv("a1-velocity-random")
    env.reset(seed=1)
    first = everything(env)
    env.reset(seed=2)
    second = everything(env)
    assert first[0] != second[0]
    assert first[2] != second[2]
    assert first[3] != second[3]
    env.reset(seed=1)
    assert everything(env) == first
    plain = make()
    env.events._at_reset.clear()
    env.reset(seed=3)
    plain.reset(seed=3)
    assert everything(env) == everything(plain)
    assert env.world._gravity == plain.world._gravity
    env.close()
    plain.close()


def test_what_is_drawn_is_told() -> None:
    env = TaskEnv("a1-velocity-random")
    info = env.reset(seed=1)[1]
    names = set(env.task.events) - {"push"}
    assert set(info["events"]) == names
    assert len(info["events"]["motors"]["factors"]) == 12
    assert len(info["sensors"]["turning"]["bias"]) == 3
    assert info["sensors"]["joints"]["delay_steps"] in (0, 1)
    assert info["acting"]["delay_steps"] in (0, 1)
    assert len(info["commands"]["velocity"]) == 3
    assert info["curricula"] == {"push_x_low": 0.0, "push_x": 0.0}
    pushes = 0
    for _ in range(450):
        _, _, terminated, truncated, info = env.step(np.zeros(12))
        pushes += "push" in info.get("events", {})
        assert not terminated
        assert not truncated
    assert pushes in (1, 2)  # 9 s, one every 4 to 8 s
    env.close()


def test_an_event_that_cannot_happen_names_its_place() -> None:
    wrong = {"mass": {"term": "randomize_mass", "params": {"value": 0}}}
    env = make(**wrong)
    with pytest.raises(SimulationError, match=r"^events\.mass: the mass of link"):
        env.reset(seed=0)
    env.close()


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"value": {"type": "uniform", "low": 2, "high": 1}}, "events.it.params.value: the range"),
        ({"valeu": 1}, "events.it.params.valeu: unknown key. Did you mean 'value'?"),
        ({}, "events.it.params.value: is missing"),
        ({"value": 1, "how": "times"}, "events.it.params.how: must be 'scale', 'add' or 'set'"),
        ({"value": 1, "links": "*_arm"}, "events.it.links: no link matches '*_arm'"),
    ],
)
def test_a_wrong_randomisation_is_named(params: dict[str, Any], text: str, env: TaskEnv) -> None:
    with pytest.raises(Exception, match="events") as caught:
        happen(env, "randomize_mass", **params)
    assert text in str(caught.value)


def test_spawning_on_a_terrain_needs_one() -> None:
    env = make(tile={"term": "spawn_on_terrain"})
    with pytest.raises(ConfigError, match=r"events\.tile: .* needs a terrain"):
        env.reset(seed=0)
    env.close()


@pytest.mark.parametrize(
    ("task", "event", "text"),
    [
        ("reacher", {"term": "reset_base"}, r"events\.it: robot 'reacher' has a fixed base"),
        (
            "hopper-run",
            {"term": "push", "params": {"x": 1}},
            r"events\.it: robot 'hopper' has a fix",
        ),
        (
            "ant-run",
            {"term": "randomize_gains"},
            r"events\.it: no actuator of robot 'ant' has gains",
        ),
        ("reacher", {"term": "payload", "params": {"mass": 1}}, r"events\.it: link .* has no mass"),
    ],
)
def test_an_event_that_does_not_fit_the_robot_is_an_error(
    task: str, event: dict[str, Any], text: str
) -> None:
    env = TaskEnv(task, overrides={"events": {"it": event}})
    with pytest.raises(RobotDescriptionError, match=text):
        env.reset(seed=0)
    env.close()
