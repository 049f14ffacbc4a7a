"""Saved worlds: in memory and as bytes."""

from __future__ import annotations

import numpy as np
import psutil
import pytest

from roboyard.errors import SimulationError
from roboyard.sim import Dynamics, JointReader, Shape, World, WorldConfig
from roboyard.sim.pybullet.contacts import has_compound_links
from roboyard.sim.pybullet.loading import find_description
from roboyard.sim.snapshot import pack, unpack


class Robot:
    """A robot on the ground, moved at random with random changes of its dynamics."""

    def __init__(self, name, steps_per_call=1, height=0.5):
        self.world = World(WorldConfig(steps_per_call=steps_per_call))
        self.world.load_plane()
        if name.endswith(".xml"):
            (self.body,) = self.world.load_mjcf(name)
        else:
            self.body = self.world.load_urdf(name, (0, 0, height))
        joints = self.world.joints(self.body)
        self.joints = [joint.index for joint in joints if joint.is_movable]
        self.reader = JointReader(self.world, self.body, self.joints)

    def roll(self, steps, seed):
        generator = np.random.default_rng(seed)
        size = len(self.joints)
        rows = []
        for index in range(steps):
            if index % 10 == 5:  # in between, motors go on with what they were told before
                targets = generator.uniform(-0.5, 0.5, size)
                self.world.set_position_targets(self.body, self.joints, targets, [40.0] * size)
            if index % 37 == 20:
                mass, friction = generator.uniform(0.2, 0.8, 2).tolist()
                link = self.joints[index % size]
                self.world.set_dynamics(self.body, link, Dynamics(mass, lateral_friction=friction))
            if index % 20 == 0:
                self.world.set_torques(self.body, self.joints[:3], generator.uniform(-5, 5, 3))
            self.world.step()
            self.reader.read()
            rows.append([*self.reader.positions, *self.reader.velocities])
            rows[-1] += self.world.base(self.body).position
        return np.array(rows)


@pytest.mark.parametrize("steps_per_call", [1, 4])
@pytest.mark.parametrize("name", ["mjcf/ant.xml", "mjcf/hopper.xml", "a1/a1.urdf"])
def test_saved_states_are_exact_with_contacts_motors_and_changed_dynamics(name, steps_per_call):
    robot, other = Robot(name, steps_per_call), Robot(name, steps_per_call)
    robot.world.set_gravity((0.3, 0.0, -9.0))
    robot.roll(133, seed=0)
    data, number = robot.world.snapshot(), robot.world.save()
    expected = robot.roll(150, seed=1)
    robot.world.set_gravity((0, 0, -1.0))
    robot.world.restore(number)
    assert np.array_equal(robot.roll(150, seed=1), expected), "in memory"
    robot.world.load_snapshot(data)
    assert np.array_equal(robot.roll(150, seed=1), expected), "from bytes"
    other.world.load_snapshot(data)
    assert np.array_equal(other.roll(150, seed=1), expected), "in a new world"
    other.roll(50, seed=7)
    other.world.load_snapshot(data)
    assert np.array_equal(other.roll(150, seed=1), expected), "in a used world"


@pytest.mark.parametrize(
    ("name", "height"),
    [("laikago/laikago_toes.urdf", 0.05), ("mjcf/humanoid_symmetric.xml", 0.0)],
)
def test_what_a_restored_world_does_depends_on_the_saved_state_alone(name, height):
    robot = Robot(name, height=height)
    assert not robot.world.restores_exactly
    start = robot.world.save()
    robot.world.restore(start)
    expected = robot.roll(80, seed=1)
    for past in (30, 90, 150):
        robot.roll(past, seed=past)
        data = robot.world.snapshot()
        robot.roll(20, seed=3)
        robot.world.load_snapshot(data)
        once = robot.roll(40, seed=4)
        robot.world.load_snapshot(data)
        assert np.array_equal(robot.roll(40, seed=4), once)
        robot.world.restore(start)
        assert np.array_equal(robot.roll(80, seed=1), expected)


@pytest.mark.parametrize(
    ("name", "compound"),
    [
        ("mjcf/ant.xml", False),
        ("mjcf/half_cheetah.xml", True),
        ("a1/a1.urdf", False),
        ("laikago/laikago_toes.urdf", True),
    ],
)
def test_links_of_several_shapes_are_found_in_the_description(name, compound):
    assert has_compound_links(find_description(name)) is compound


def test_masses_and_inertias_come_back_to_the_originals():
    robot = Robot("a1/a1.urdf")
    link = robot.joints[1]
    start = robot.world.save()
    before = robot.roll(60, seed=1)
    robot.world.set_dynamics(robot.body, link, Dynamics(mass=9.0, joint_damping=3.0))
    robot.world.restore(start)
    assert np.array_equal(robot.roll(60, seed=1), before)


def test_snapshots_of_worlds_with_other_bodies_are_refused():
    with World() as world, World() as other:
        world.load_plane()
        other.load_urdf("r2d2.urdf")
        with pytest.raises(
            SimulationError, match=r"with other bodies .plane with 0 .*than this one"
        ):
            other.load_snapshot(world.snapshot())


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: b"", "these 0 bytes are not a snapshot"),
        (lambda data: b"hello", "these 5 bytes are not a snapshot"),
        (lambda data: data[:20], "damaged or cut short"),
        (lambda data: data[:-1], "damaged or cut short"),
        (lambda data: data[:99] + bytes([data[99] ^ 4]) + data[100:], "its checksum differs"),
        (lambda data: pack("policy", {}), "a snapshot of a policy, not of a world"),
    ],
)
def test_damaged_snapshots_are_refused_and_change_nothing(damage, words):
    with World() as world:
        ball = world.add_shape(Shape("sphere", (0.1,), mass=1.0), (0, 0, 1))
        data = world.snapshot()
        world.step()
        before = world.base(ball)
        with pytest.raises(SimulationError, match=words):
            world.load_snapshot(damage(data))
        assert world.base(ball) == before


def test_several_snapshots_do_not_get_mixed_up():
    with World() as world:
        ball = world.add_shape(Shape("sphere", (0.1,), mass=1.0))
        snapshots = []
        for height in (1.0, 2.0, 3.0):
            world.set_base(ball, world.base(ball)._replace(position=(0.0, 0.0, height)))
            snapshots.append(world.snapshot())
        for height, data in zip((1.0, 2.0, 3.0), snapshots, strict=True):
            world.load_snapshot(data)
            assert world.base(ball).position[2] == height


def test_the_same_state_gives_the_same_bytes_in_every_world():
    def balls(distance):
        world = World()
        for index in range(2):
            ball = world.add_shape(Shape("sphere", (0.1,), mass=1.0))
            place = (index * distance, 0.0, 1.0)
            world.set_base(ball, world.base(ball)._replace(position=place))
        world.step()
        return world

    # The engine counts bodies that touch as one group, and forgets it in the next step only.
    with balls(0.19) as touching, balls(1.0) as apart:
        data = touching.snapshot()
        apart.load_snapshot(data)
        assert apart.snapshot() == data


def test_unknown_and_released_states_are_refused():
    with World() as world:
        number = world.save()
        world.release(number)
        for unknown in (number, 12):
            with pytest.raises(
                SimulationError, match=f"state {unknown} cannot be restored: no such"
            ):
                world.restore(unknown)


def test_states_and_snapshots_leak_neither_files_nor_memory():
    process = psutil.Process()
    sizes = []
    with World() as world:
        world.load_urdf("r2d2.urdf")
        for index in range(160):
            world.release(world.save())
            world.load_snapshot(world.snapshot())
            if index in (40, 159):
                sizes.append((process.num_fds(), process.memory_info().rss))
    assert sizes[1][0] == sizes[0][0]
    assert sizes[1][1] - sizes[0][1] < 4 * 2**20


def test_packed_states_come_back_exactly():
    state = {
        "float": 0.1 + 0.2,
        "big": 2**127 + 1,
        "nested": [{"array": np.arange(6, dtype=np.float32).reshape(2, 3)}, None, True],
        "bytes": b"\x00\xff",
        "empty": np.zeros((0, 3)),
        "scalar": np.float64(1 / 3),
    }
    back = unpack("test", pack("test", state))
    assert back["float"] == state["float"]
    assert back["big"] == state["big"]
    assert back["bytes"] == state["bytes"]
    assert back["scalar"] == 1 / 3
    assert np.array_equal(back["nested"][0]["array"], state["nested"][0]["array"])
    assert back["nested"][0]["array"].dtype == np.float32
    assert back["nested"][1:] == [None, True]
    assert back["empty"].shape == (0, 3)
