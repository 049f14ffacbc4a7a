"""Worlds: lifecycle, loading, stepping, acting, pictures."""

from __future__ import annotations

import math
import re
import subprocess
import sys

import numpy as np
import pytest

from roboyard.errors import ConfigError, RobotDescriptionError, SimulationError
from roboyard.sim import (
    Camera,
    ContactReader,
    Dynamics,
    JointReader,
    LinkReader,
    Shape,
    World,
    WorldConfig,
)
from roboyard.sim.pybullet.engine import pybullet

PENDULUM = """<robot name="pendulum">
<link name="base"><inertial><mass value="1"/>
<inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial></link>
<link name="bob"><inertial><origin xyz="0 0 -1"/><mass value="2"/>
<inertia ixx="0.5" iyy="0.5" izz="0.5" ixy="0" ixz="0" iyz="0"/></inertial>
<collision><origin xyz="0 0 -1"/><geometry><sphere radius="0.1"/></geometry></collision></link>
<joint name="hinge" type="continuous"><parent link="base"/><child link="bob"/><axis xyz="0 1 0"/>
<dynamics damping="0" friction="0"/></joint></robot>"""


@pytest.fixture
def world():
    with World() as world:
        yield world


@pytest.fixture
def pendulum(world, tmp_path):
    path = tmp_path / "pendulum.urdf"
    path.write_text(PENDULUM)
    body = world.load_urdf(path, (0, 0, 3), fixed_base=True)
    for link in (-1, 0):
        world.set_dynamics(body, link, Dynamics(linear_damping=0, angular_damping=0))
    return body


def run(world, steps):
    for _ in range(steps):
        world.step()


def test_a_falling_ball_obeys_gravity(world):
    ball = world.add_shape(Shape("sphere", (0.1,), mass=1.0), (0, 0, 10))
    world.set_dynamics(ball, -1, Dynamics(linear_damping=0.0))
    run(world, 240)
    assert world.base(ball).linear_velocity[2] == pytest.approx(-9.81, rel=1e-3)
    assert world.base(ball).position[2] == pytest.approx(10 - 9.81 / 2, abs=0.03)


def test_two_worlds_never_touch(world):
    with World(WorldConfig(gravity=(0, 0, 0))) as other:
        mine = world.add_shape(Shape("sphere", (0.1,), mass=1.0))
        theirs = other.add_shape(Shape("sphere", (0.1,), mass=1.0))
        run(world, 10)
        run(other, 10)
        assert other.base(theirs).position == (0, 0, 0)
        other.close()
        world.step()
        assert world.base(mine).position[2] < 0


def test_a_closed_world_refuses_everything_in_words(world):
    ball = world.add_shape(Shape("sphere", (0.1,), mass=1.0))
    reader = JointReader(world, ball, [])
    number, data = world.save(), world.snapshot()
    world.close()
    world.close()
    assert world.is_closed
    uses = [
        world.step,
        world.save,
        world.snapshot,
        world.load_plane,
        reader.read,
        LinkReader(world, ball, []).read,
        ContactReader(world, ball, 0).read,
        lambda: world.restore(number),
        lambda: world.release(number),
        lambda: world.load_snapshot(data),
        lambda: world.base(ball),
        lambda: world.joints(ball),
        lambda: world.render(Camera()),
        lambda: world.set_torques(ball, [0], [1.0]),
        lambda: world.set_position_targets(ball, [0], [1.0]),
        lambda: world.set_gravity((0, 0, 0)),
    ]
    for use in uses:
        with pytest.raises(SimulationError, match=r"the world is closed\. Create a new one\."):
            use()


def test_an_id_of_a_closed_world_that_is_used_again_does_not_reach_the_new_one():
    old = World()
    old.close()
    with World() as new, pytest.raises(SimulationError, match=r"closed"):
        ball = new.add_shape(Shape("sphere", (0.1,), mass=1.0))
        old.base(ball)


def test_joints_are_described_and_free(world, pendulum):
    (hinge,) = world.joints(pendulum)
    assert (hinge.name, hinge.link, hinge.kind, hinge.is_movable) == (
        "hinge", "bob", "revolute", True,
    )  # fmt: skip
    world.set_joint_states(pendulum, [0], [0.1], [0.0])
    reader = JointReader(world, pendulum, [0])
    angles = []
    for _ in range(2000):
        world.step()
        reader.read()
        angles.append(reader.positions[0])
    crossings = np.flatnonzero((np.array(angles[:-1]) < 0) & (np.array(angles[1:]) >= 0))
    period = np.diff(crossings).mean() / 240
    assert period == pytest.approx(2 * math.pi * math.sqrt((0.5 + 2) / (2 * 9.81)), rel=0.01)
    assert max(angles[-500:]) == pytest.approx(0.1, rel=0.05)


def test_torques_are_held_over_all_steps_of_a_call(tmp_path):
    path = tmp_path / "pendulum.urdf"
    path.write_text(PENDULUM)
    rates = []
    for steps in (1, 4):
        config = WorldConfig(time_step=0.01 / steps, steps_per_call=steps, gravity=(0, 0, 0))
        with World(config) as world:
            body = world.load_urdf(path, fixed_base=True)
            world.set_torques(body, [0], np.array([2.0]))
            world.step()
            reader = JointReader(world, body, [0])
            reader.read()
            rates.append(reader.velocities[0])
    assert rates == pytest.approx([0.01 * 2.0 / 2.5] * 2, rel=1e-3)


def test_motors_hold_positions_and_velocities(world, pendulum):
    reader = JointReader(world, pendulum, [0])
    world.set_position_targets(pendulum, [0], [0.7], forces=[500.0])
    run(world, 240)
    assert reader.read_plain()[0][0] == pytest.approx(0.7, abs=0.01)
    world.set_velocity_targets(pendulum, [0], [2.0], forces=[500.0])
    run(world, 60)
    assert reader.read_plain()[1][0] == pytest.approx(2.0, abs=0.01)
    reader.read()
    assert abs(reader.torques[0]) > 1


def test_links_contacts_and_rays_are_read_into_arrays(world):
    world.load_plane()
    (ant,) = world.load_mjcf("mjcf/ant.xml")
    num_links = len(world.joints(ant))
    contacts, links = ContactReader(world, ant, num_links), LinkReader(world, ant, range(num_links))
    run(world, 600)
    contacts.read()
    links.read()
    weight = 9.81 * sum(  # the ant stands still on its feet
        pybullet.getDynamicsInfo(ant, link, world.client)[0] for link in range(-1, num_links)
    )
    assert contacts.forces.sum() == pytest.approx(weight, rel=0.1)
    feet = [joint.index for joint in world.joints(ant) if joint.name.startswith("ankle")]
    assert contacts.touching[np.array(feet) + 1].all()
    assert links.positions[contacts.touching[:-1], 2].max() < 0.5
    assert np.linalg.norm(links.orientations, axis=1) == pytest.approx(1)


def test_rays_tell_what_they_met(world):
    box = world.add_shape(Shape("box", (0.5, 0.5, 0.5)), (0, 0, 0.5))
    starts = np.tile([0.1, 0.2, 5.0], (20_000, 1))
    ends = np.tile([0.1, 0.2, -5.0], (20_000, 1))
    starts[-1, 0] = ends[-1, 0] = 30.0
    hits = world.cast_rays(starts, ends)
    assert hits.bodies[:-1].tolist() == [box] * 19_999
    assert hits.bodies[-1] == -1
    assert hits.fractions[0] == pytest.approx(0.4)
    assert hits.positions[0] == pytest.approx([0.1, 0.2, 1.0])
    assert hits.normals[0] == pytest.approx([0, 0, 1])
    assert world.cast_rays(starts[:0], ends[:0]).positions.shape == (0, 3)


def test_contacts_of_the_base_stand_in_the_last_entry(world):
    world.load_plane()
    box = world.add_shape(Shape("box", (0.2, 0.2, 0.2), mass=3.0), (0, 0, 0.2))
    run(world, 100)
    contacts = ContactReader(world, box, 0)
    contacts.read()
    assert contacts.forces.tolist() == pytest.approx([3 * 9.81], rel=0.05)


def test_a_force_pushes_where_it_should(world):
    world.set_gravity((0, 0, 0))
    ball = world.add_shape(Shape("sphere", (0.1,), mass=2.0))
    world.apply_force(ball, -1, (24.0, 0, 0), (0, 0, 0))
    world.step()
    assert world.base(ball).linear_velocity[0] == pytest.approx(24 / 2 / 240, rel=1e-3)


def test_inertia_follows_a_changed_mass(world, pendulum):
    world.set_gravity((0, 0, 0))
    world.set_dynamics(pendulum, 0, Dynamics(mass=4.0))
    world.set_torques(pendulum, [0], [5.0])
    world.step()
    reader = JointReader(world, pendulum, [0])
    assert reader.read_plain()[1][0] == pytest.approx(5.0 / (2 * 2.5) / 240, rel=1e-3)


def test_pictures_hold_colour_depth_and_bodies(world):
    world.load_plane()
    red = Shape("box", (0.5, 0.5, 0.5), color=(1, 0, 0, 1))
    box = world.add_shape(red, (0, 0, 0.5))
    camera = Camera(target=(0, 0, 0.5), distance=4.0, yaw=0, pitch=0, width=80, height=60)
    picture = world.take_picture(camera)
    assert picture.rgb.shape == (60, 80, 3)
    assert picture.rgb[30, 40, 0] > 2 * picture.rgb[30, 40, 1]
    assert picture.segmentation[30, 40] == box
    assert picture.depth[30, 40] == pytest.approx(3.5, rel=0.01)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("garbage", "is not XML"),
        ("", "is not XML"),
        ("<robot name='x'/>", "has no links"),
        ("<mujoco/>", "its root element is <mujoco>, not <robot>"),
        (
            "<robot name='x'><link name='a'/><joint name='j' type='fixed'><parent link='a'/>"
            "<child link='b'/></joint></robot>",
            "joint 'j' has the child link 'b', which does not exist. Links: a",
        ),
    ],
)
def test_broken_descriptions_are_refused_with_file_and_cause(world, tmp_path, text, words):
    path = tmp_path / "broken.urdf"
    path.write_text(text)
    with pytest.raises(RobotDescriptionError, match=f"broken.urdf.*{words}") as caught:
        world.load_urdf(path)
    assert "\n" not in str(caught.value)
    world.step()


def test_missing_files_and_folders_are_refused(world, tmp_path):
    with pytest.raises(RobotDescriptionError, match=r"nothing.urdf' does not exist. Give the path"):
        world.load_urdf("nothing.urdf")
    with pytest.raises(RobotDescriptionError, match=r"is a folder"):
        world.load_mjcf(tmp_path)
    (tmp_path / "empty.xml").write_text("<mujoco/>")
    with pytest.raises(RobotDescriptionError, match=r"empty.xml"):
        world.load_mjcf(tmp_path / "empty.xml")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: WorldConfig(time_step=0.0), "time_step is 0.0; it must be greater than 0"),
        (lambda: WorldConfig(steps_per_call=0), "steps_per_call is 0; it must be a whole number"),
        (lambda: WorldConfig(gravity=(0, 0, math.nan)), "three finite numbers"),
        (lambda: WorldConfig(contact_erp=2.0), "contact_erp is 2.0"),
        (lambda: Shape("cube", (1,)), "unknown shape 'cube'. Allowed: box, sphere"),
        (lambda: Shape("box", (1, 1)), "a box needs 3 positive sizes"),
        (lambda: Camera(width=0), "0 x 360 pixels is impossible"),
        (lambda: Camera(near=2, far=1), "0 < near < far must hold"),
    ],
)
def test_impossible_settings_are_refused(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


def test_a_missing_mesh_is_refused_in_the_words_of_the_engine(tmp_path):
    path = tmp_path / "broken.urdf"
    path.write_text(
        "<robot name='x'><link name='a'><collision><geometry><mesh filename='no.obj'/>"
        "</geometry></collision></link></robot>"
    )
    # The engine's words are caught only where no other thread could be writing, so not in a
    # worker of pytest-xdist: a process of its own has one thread for certain.
    code = f"from roboyard.sim import World; World().load_urdf({str(path)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    words = "broken.urdf.*refused by the physics engine: .*cannot find 'no.obj'"
    assert re.search(words, done.stderr.splitlines()[-1])


@pytest.mark.parametrize("display", [None, ":987"])
def test_a_window_without_a_display_is_an_error_and_no_crash(monkeypatch, display):
    monkeypatch.delenv("DISPLAY", raising=False)
    if display:
        monkeypatch.setenv("DISPLAY", display)
    with pytest.raises(
        SimulationError, match=f"no display .DISPLAY is {repr(display) if display else 'not'}"
    ):
        World(WorldConfig(gui=True))


def test_the_engine_is_silent(tmp_path):
    (tmp_path / "chatty.urdf").write_text("<robot name='x'><link name='a'/></robot>")
    code = (
        "from roboyard.sim import World\n"
        f"World().load_urdf({str(tmp_path / 'chatty.urdf')!r})\n"
        "print('mine')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("mine\n", "")


def test_output_around_the_engine_keeps_its_order(tmp_path):
    code = (
        "import os, sys\n"
        "sys.stdout.write('before ')\n"
        "from roboyard.sim import World\n"
        "World().load_plane()\n"
        "sys.stdout.write('after')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "before after"
