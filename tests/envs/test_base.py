"""The base class of robot environments."""

from __future__ import annotations

import logging

import gymnasium
import numpy as np
import pytest

from roboyard.config.schema import EnvConfig
from roboyard.envs import BaseRobotEnv, SimpleRobotEnv
from roboyard.errors import ConfigError, SimulationError
from roboyard.sim import Dynamics, JointReader, Shape
from roboyard.testing.env_conformance import EnvConformance, roll


class BallEnv(BaseRobotEnv):
    """The smallest environment: a ball that is pushed up."""

    def _load(self):
        self.observation_space = gymnasium.spaces.Box(-100, 100, (1,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        self.world.load_plane()
        self.ball = self.world.add_shape(Shape("sphere", (0.1,), mass=1.0), (0, 0, 1))

    def _apply(self, action):
        position = self.world.base(self.ball).position
        self.world.apply_force(self.ball, -1, (0.0, 0.0, 20.0 * float(action[0])), position)

    def _observe(self):
        return np.float32([self.world.base(self.ball).position[2]])

    def _reward(self):
        return 0.0


class RagdollEnv(BaseRobotEnv):
    """A humanoid that thrashes on the floor: links of several shapes, in contact all the time."""

    def __init__(self, render_mode=None, max_episode_steps=25):
        super().__init__(render_mode=render_mode, substeps=4, max_episode_steps=max_episode_steps)

    def _load(self):
        self.world.load_plane()
        (self.body,) = self.world.load_mjcf("mjcf/humanoid_symmetric.xml")
        lying = self.world.base(self.body)._replace(
            position=(0.0, 0.0, 0.25), orientation=(0.0, 2**-0.5, 0.0, 2**-0.5)
        )
        self.world.set_base(self.body, lying)
        self.joints = [joint.index for joint in self.world.joints(self.body) if joint.is_movable]
        self.reader = JointReader(self.world, self.body, self.joints)
        size = len(self.joints)
        self.observation_space = gymnasium.spaces.Box(-1000, 1000, (2 * size,), np.float64)
        self.action_space = gymnasium.spaces.Box(-1, 1, (size,), np.float32)
        self.effort = 0.0

    def _reset(self, options):
        friction = float(self.np_random.uniform(0.3, 1.0))
        mass = float(self.np_random.uniform(3.0, 6.0))
        self.world.set_dynamics(self.body, -1, Dynamics(mass=mass, lateral_friction=friction))
        self.effort = 0.0

    def _apply(self, action):
        self.effort += float(np.abs(action).sum())
        noise = self.np_random.normal(0, 0.1, len(self.joints))
        self.world.set_position_targets(
            self.body, self.joints, action + noise, forces=np.full(len(self.joints), 100.0)
        )

    def _observe(self):
        self.reader.read()
        return np.concatenate([self.reader.positions, self.reader.velocities])

    def _reward(self):
        return -self.effort

    def _python_state(self):
        return {"effort": self.effort}

    def _set_python_state(self, state):
        self.effort = state["effort"]


class TestBallConforms(EnvConformance):
    config = EnvConfig(id=f"{__name__}:BallEnv")
    # Other processes cannot import this file by name.
    test_a_snapshot_is_exact_in_another_process = None
    test_passes_the_checkers_of_gymnasium_and_sb3_without_a_warning = None

    def make(self, **kwargs):
        return BallEnv(**kwargs)


class TestRagdollConforms(EnvConformance):
    config = EnvConfig(id=f"{__name__}:RagdollEnv")
    steps = 40
    test_a_snapshot_is_exact_in_another_process = None
    test_passes_the_checkers_of_gymnasium_and_sb3_without_a_warning = None
    test_creating_and_closing_leaks_nothing = None

    def make(self, **kwargs):
        return RagdollEnv(**kwargs)


def test_the_ragdoll_needs_and_keeps_a_record_of_its_episode():
    env = RagdollEnv()
    env.reset(seed=0)
    roll(env, 10, seed=1)
    assert not env.world.restores_exactly
    assert len(env._log.actions) == 10
    env.close()


def test_a_repetition_that_comes_out_differently_is_told(caplog):
    env = RagdollEnv()
    env.reset(seed=0)
    roll(env, 5, seed=1)
    env._log.actions[0] += 0.5
    data = env.snapshot()
    with caplog.at_level(logging.WARNING):
        assert "close to the saved one, but not the same" in env.restore(data)
    assert "close to the saved one, but not the same" in caplog.text
    env.close()


def test_a_control_step_is_made_of_substeps():
    env = BallEnv(substeps=12)
    env.reset(seed=0)
    for _ in range(4):
        env.step(np.zeros(1, np.float32))
    assert env.control_period == pytest.approx(0.05)
    assert env.elapsed_steps == 4
    assert env._observe()[0] == pytest.approx(1 - 9.81 * 0.2**2 / 2, abs=0.01)
    env.close()


def test_missing_spaces_are_named():
    class Spaceless(BallEnv):
        def _load(self):
            pass

    with pytest.raises(ConfigError, match=r"Spaceless sets no observation_space"):
        Spaceless()


def test_an_error_while_loading_closes_the_world():
    class Failing(BallEnv):
        def _load(self):
            worlds.append(self.world)
            raise ValueError("no robot today")

    worlds = []
    with pytest.raises(ValueError, match=r"no robot today"):
        Failing()
    assert worlds[0].is_closed


def test_a_snapshot_of_another_environment_is_refused():
    ball, cartpole = BallEnv(), SimpleRobotEnv()
    cartpole.reset(seed=0)
    with pytest.raises(SimulationError, match=r"has environment SimpleRobotEnv, but this .* has"):
        ball.restore(cartpole.snapshot())
    slower = BallEnv(substeps=2)
    slower.reset(seed=0)
    with pytest.raises(SimulationError, match=r"has control_period 0.008"):
        ball.restore(slower.snapshot())
    for env in (ball, slower, cartpole):
        env.close()


def test_state_that_a_snapshot_cannot_hold_is_named():
    class Strange(BallEnv):
        def _python_state(self):
            return {"history": [1, {2, 3}]}

    env = Strange()
    env.reset(seed=0)
    with pytest.raises(SimulationError, match=r"state\.python\.history\[1\] is a set"):
        env.snapshot()
    env.close()


def test_a_state_of_another_version_is_refused():
    class Older(BallEnv):
        def _set_python_state(self, state):
            self.wind = state["wind"]

    env = Older()
    env.reset(seed=0)
    with pytest.raises(
        SimulationError, match=r"state of Older .* does not fit it .KeyError: 'wind'"
    ):
        env.restore(env.snapshot())
    env.close()
