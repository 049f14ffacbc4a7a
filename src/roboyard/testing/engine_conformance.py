"""What every physics engine must do, as a test class.

Subclass it in your tests and name the engine; pytest runs the rest::

    class TestMyEngine(EngineConformance):
        engine = "my_package.engine:MyWorld"
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from roboyard.errors import ConfigError, RobotDescriptionError, SimulationError
from roboyard.sim import (
    Camera,
    Dynamics,
    Placement,
    RobotDescription,
    Shape,
    View,
    World,
    WorldConfig,
    open_world,
)
from roboyard.sim.rows import BASE, CENTER, DISTANCE, FRAME_POSITION, NORMAL_FORCE, OTHER_BODY

PENDULUM = """<robot name="pendulum">
  <link name="mount"/>
  <link name="rod"><inertial><origin xyz="0 0 -0.5"/><mass value="2"/>
    <inertia ixx="0.2" iyy="0.2" izz="0.02" ixy="0" ixz="0" iyz="0"/></inertial>
    <collision><origin xyz="0 0 -0.5"/><geometry><box size="0.1 0.1 1"/></geometry></collision>
  </link>
  <joint name="hinge" type="revolute"><parent link="mount"/><child link="rod"/>
    <axis xyz="0 1 0"/><limit lower="-3" upper="3" effort="50" velocity="10"/></joint>
</robot>"""
HINGE = (0,)
TIME_STEP = 0.005


class EngineConformance:
    """The suite; every test gets worlds of its own."""

    engine = "pybullet"
    """Name of the engine, or ``module:Attr``."""

    @pytest.fixture
    def world(self) -> Iterator[World]:
        """Return an empty world."""
        with open_world(WorldConfig(engine=self.engine, time_step=TIME_STEP)) as world:
            yield world

    @pytest.fixture
    def pendulum(self, world: World, tmp_path: Path) -> int:
        """Return a rod of 2 kg and 1 m that hangs from a hinge at 2 m."""
        file = tmp_path / "pendulum.urdf"
        file.write_text(PENDULUM)
        description = RobotDescription(file, fixed_base=True)
        return world.load_robot(description, Placement((0.0, 0.0, 2.0)))[0]

    # Loading.

    def test_a_loaded_robot_has_its_names_limits_and_masses(
        self, world: World, pendulum: int
    ) -> None:
        """Joints, links and the base are those of the file."""
        (hinge,) = world.joints(pendulum)
        assert (hinge.name, hinge.link, hinge.kind, hinge.parent) == (
            "hinge", "rod", "revolute", BASE,
        )  # fmt: skip
        assert (hinge.lower, hinge.upper, hinge.max_force) == (-3.0, 3.0, 50.0)
        assert world.base_name(pendulum) == "mount"
        properties = world.link_properties(pendulum, 0)
        assert properties.mass == pytest.approx(2.0)
        assert properties.inertia == pytest.approx((0.2, 0.2, 0.02))

    def test_a_placement_is_where_the_base_is(self, world: World, pendulum: int) -> None:
        """The base stands where it was put, the link hangs from it."""
        assert world.base(pendulum).position == pytest.approx((0.0, 0.0, 2.0))
        row = world.link_reader(pendulum, (0,), fresh=True)()[0]
        assert row[FRAME_POSITION] == pytest.approx((0.0, 0.0, 2.0))
        assert row[CENTER] == pytest.approx((0.0, 0.0, 1.5))

    def test_bodies_are_numbered_in_the_order_of_loading(self, world: World) -> None:
        """Numbers are unique, and the world lists them."""
        loaded = [world.load_plane(), self.ball(world), self.ball(world, 2.0)]
        assert world.bodies == tuple(loaded)
        assert len(set(loaded)) == 3

    @pytest.mark.parametrize("text", ["no xml", "<robot name='empty'/>", "<cube/>"])
    def test_a_wrong_description_is_an_error_that_names_the_file(
        self, world: World, tmp_path: Path, text: str
    ) -> None:
        """A file that is no robot is refused, and leaves nothing behind."""
        file = tmp_path / "wrong.urdf"
        file.write_text(text)
        with pytest.raises(RobotDescriptionError, match=r"wrong\.urdf"):
            world.load_robot(RobotDescription(file))
        assert world.bodies == ()

    def test_a_missing_description_is_an_error_that_names_the_file(self, world: World) -> None:
        """So is a file that is not there."""
        with pytest.raises(RobotDescriptionError, match=r"nowhere\.urdf"):
            world.load_robot(RobotDescription(Path("nowhere.urdf")))

    # Stepping.

    def test_a_free_body_falls_as_gravity_says(self, world: World) -> None:
        """After a step it moves at gravity times the step, and gravity can be changed."""
        ball = self.ball(world)
        world.set_dynamics(ball, BASE, Dynamics(linear_damping=0.0))
        world.step()
        assert world.base(ball).linear_velocity[2] == pytest.approx(-9.81 * TIME_STEP, rel=1e-3)
        world.set_gravity((0.0, 0.0, 0.0))
        before = world.base(ball).linear_velocity
        world.step()
        assert world.base(ball).linear_velocity == pytest.approx(before, rel=1e-6)

    def test_a_free_joint_swings(self, world: World, pendulum: int) -> None:
        """No motor holds a joint after loading: a rod that leans falls."""
        world.set_joint_states(pendulum, HINGE, [0.5], [0.0])
        read = world.joint_reader(pendulum, HINGE)
        assert read()[0] == [0.5]
        for _ in range(10):
            world.step()
        assert read()[0][0] < 0.5
        assert read()[1][0] < 0.0

    # Motors.

    def test_a_torque_acts_for_one_step(self, world: World, pendulum: int) -> None:
        """Its effect is torque over inertia; the next step knows nothing of it."""
        world.set_gravity((0.0, 0.0, 0.0))
        world.set_dynamics(pendulum, 0, Dynamics(joint_damping=0.0, angular_damping=0.0,
                                                linear_damping=0.0))  # fmt: skip
        read, write = world.joint_reader(pendulum, HINGE), world.torque_writer(pendulum, HINGE)
        write([0.7])
        world.step()
        speed = read()[1][0]
        inertia = 0.2 + 2.0 * 0.5**2
        assert speed == pytest.approx(0.7 / inertia * TIME_STEP, rel=1e-2)
        world.step()
        assert read()[1][0] == pytest.approx(speed, rel=1e-3)

    def test_a_position_motor_holds_its_target(self, world: World, pendulum: int) -> None:
        """It gets there and stays, against gravity, until it is set free."""
        world.set_position_targets(
            pendulum, HINGE, [0.8], forces=[np.inf], position_gains=[0.1], velocity_gains=[1.0]
        )
        for _ in range(300):
            world.step()
        positions, _, torques = world.joint_reader(pendulum, HINGE, torques=True)()
        assert positions[0] == pytest.approx(0.8, abs=0.02)
        assert abs(torques[0]) == pytest.approx(2.0 * 9.81 * 0.5 * np.sin(0.8), rel=0.1)
        world.disable_motors(pendulum, HINGE)
        for _ in range(10):
            world.step()
        assert world.joint_reader(pendulum, HINGE)()[0][0] < 0.79

    # Contacts, rays, pictures.

    def test_a_resting_body_presses_the_ground_with_its_weight(self, world: World) -> None:
        """Contacts tell both bodies, and their forces add up to the weight."""
        ground, ball = world.load_plane(), self.ball(world, 0.1)
        for _ in range(200):
            world.step()
        rows = world.contact_reader(ball, ground)()
        assert {row[OTHER_BODY] for row in rows} == {ground}
        assert sum(row[NORMAL_FORCE] for row in rows) == pytest.approx(9.81, rel=0.05)
        assert all(abs(row[DISTANCE]) < 0.01 for row in rows)
        assert not world.contact_reader(ball, ball)()

    def test_overlapping_bodies_are_found_with_their_depth(self, world: World) -> None:
        """Two balls that are 0.15 m apart, of radius 0.1 m, overlap by 0.05 m."""
        one, other = self.ball(world, 1.0), self.ball(world, 1.15)
        (overlap,) = world.overlaps(one, other, 0.01)
        assert overlap.depth == pytest.approx(0.05, abs=0.005)
        assert not world.overlaps(one, other, 0.1)

    def test_rays_meet_what_is_in_their_way(self, world: World) -> None:
        """A ray down meets the top of the ball, one beside it nothing."""
        ball = self.ball(world, 1.0)
        starts, ends = np.array([[0, 0, 2.0], [1, 0, 2.0]]), np.array([[0, 0, 0.0], [1, 0, 0.0]])
        hits = world.cast_rays(starts, ends)
        assert hits.bodies.tolist() == [ball, -1]
        assert hits.fractions == pytest.approx([0.45, 1.0], abs=1e-3)

    def test_pictures_show_bodies_by_their_numbers_and_distances(self, world: World) -> None:
        """The pixel in the middle is the ball, as far away as its surface."""
        ball = self.ball(world, 1.0)
        picture = world.take_picture(
            Camera(target=(0.0, 0.0, 1.0), distance=2.0, pitch=0.0, width=32, height=24)
        )
        assert picture.rgb.shape == (24, 32, 3)
        assert picture.segmentation[12, 16] == ball
        assert picture.depth[12, 16] == pytest.approx(1.9, abs=0.05)
        view = View((2.0, 0.0, 1.0), (0.0, 0.0, 1.0), 32, 24, 45.0)
        assert world.take_view(view).segmentation[12, 16] == ball

    # States.

    @pytest.mark.parametrize("way", ["in memory", "as bytes"])
    def test_a_restored_world_goes_on_bit_for_bit(
        self, world: World, pendulum: int, way: str
    ) -> None:
        """Contacts, motors, dynamics and gravity are part of the state."""
        world.load_plane()
        self.ball(world, 0.12)
        for _ in range(30):
            world.step()
        world.set_velocity_targets(pendulum, HINGE, [1.0], [5.0])
        back = self.returning(world, way)
        expected = self.trace(world)
        world.disable_motors(pendulum, HINGE)
        world.set_dynamics(pendulum, 0, Dynamics(mass=5.0))
        world.set_gravity((1.0, 0.0, -3.0))
        self.trace(world)
        back()
        assert world.restores_exactly
        assert self.trace(world) == expected

    def test_a_damaged_snapshot_is_refused(self, world: World, pendulum: int) -> None:
        """One changed byte is an error, and the world stays as it is."""
        data = bytearray(world.snapshot())
        data[-1] ^= 1
        before = world.motion()
        with pytest.raises(SimulationError, match="damaged"):
            world.load_snapshot(bytes(data))
        assert world.motion() == before

    def test_a_snapshot_of_other_bodies_is_refused(self, world: World, pendulum: int) -> None:
        """A state belongs to the bodies that it was taken of."""
        data = world.snapshot()
        self.ball(world)
        with pytest.raises(SimulationError, match="other bodies"):
            world.load_snapshot(data)

    # Errors.

    def test_a_closed_world_says_so_in_bound_calls_too(self, world: World, pendulum: int) -> None:
        """Nothing reads or writes a closed world, and closing twice does no harm."""
        read, write = world.joint_reader(pendulum, HINGE), world.torque_writer(pendulum, HINGE)
        calls: list[Callable[[], object]] = [
            read, world.step, world.snapshot, lambda: write([0.0]), lambda: world.joints(pendulum),
            world.contact_reader(pendulum), world.pose_reader(pendulum), world.motion,
        ]  # fmt: skip
        world.close()
        world.close()
        assert world.is_closed
        calls.append(world.save)
        for call in calls[:-2] + calls[-1:]:
            with pytest.raises(SimulationError, match="closed"):
                call()

    def test_an_unknown_engine_is_an_error_that_lists_the_known_ones(self) -> None:
        """The message names the nearest one."""
        with pytest.raises(ConfigError, match="pybullet"):
            open_world(WorldConfig(engine="pybulet"))

    # Help.

    def ball(self, world: World, height: float = 3.0) -> int:
        """Add a ball of 1 kg and radius 0.1 m at a height [m]."""
        return world.add_shape(Shape("sphere", (0.1,), mass=1.0), (0.0, 0.0, height))

    def trace(self, world: World) -> list[list[float]]:
        """Return the motion of the next steps."""
        rows = []
        for _ in range(20):
            world.step()
            rows.append(world.motion())
        return rows

    def returning(self, world: World, way: str) -> Callable[[], None]:
        """Keep the present state; return a call that goes back to it."""
        if way == "in memory":
            number = world.save()
            return lambda: world.restore(number)
        data = world.snapshot()
        return lambda: world.load_snapshot(data)
