"""What the engine remembers of contacts must not reach over a reset."""

from __future__ import annotations

import numpy as np
import pytest

from roboyard.envs.task_env import TaskEnv
from roboyard.errors import SimulationError
from roboyard.sim import Shape, World
from roboyard.sim.pybullet.contacts import CollisionFilter, read_filters


def roll(env: TaskEnv, seed: int, steps: int) -> np.ndarray:
    """Return the observations of an episode with drawn actions, past the fall."""
    generator = np.random.default_rng(seed)
    env.reset(seed=seed)
    size = env.action_space.shape[0]
    return np.array([env.step(generator.uniform(-1, 1, size))[0] for _ in range(steps)])


@pytest.mark.parametrize("task", ["humanoid-run", "halfcheetah-run"])
def test_an_episode_does_not_depend_on_contacts_before_its_reset(task: str) -> None:
    used = TaskEnv(task)
    for seed in (0, 1, 2):
        fresh = TaskEnv(task)
        expected = roll(fresh, seed, 300)
        fresh.close()
        roll(used, 9, 100)
        np.testing.assert_array_equal(roll(used, seed, 300), expected)
    used.close()


def test_a_reset_keeps_collision_filters() -> None:
    with World() as world:
        world.load_plane()
        world.load_mjcf("mjcf/half_cheetah.xml", "exclude_all_parents")
        world.add_shape(Shape("box", (0.1, 0.1, 0.1)), (5, 0, 0))
        world.add_shape(Shape("box", (0.1, 0.1, 0.1), mass=1, collides=False), (5, 0, 3))
        before = read_filters(world.client, world.bodies)
        # Its limbs must not touch each other: the file says conaffinity="0".
        assert CollisionFilter(1, 5, 1, 0) in before
        assert {row.body for row in before} == set(world.bodies)
        world.restore(world.save())
        assert read_filters(world.client, world.bodies) == before


def test_bodies_that_came_later_are_known_too() -> None:
    with World() as world:
        world.load_urdf("laikago/laikago_toes.urdf")
        world.restore(world.save())
        world.add_shape(Shape("sphere", (0.1,), mass=1), (0, 0, 3))
        world.restore(world.save())
        assert {row.body for row in read_filters(world.client, world.bodies)} == {0, 1}


def test_saved_states_of_another_form_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "roboyard.sim.pybullet.contacts.engine_state", lambda client: b"BULLETf_v326"
    )
    with World() as world, pytest.raises(SimulationError, match=r"BULLETf_v326.*PyBullet 3\.2\.7"):
        read_filters(world.client, world.bodies)
