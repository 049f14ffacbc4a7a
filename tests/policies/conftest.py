import pytest
import torch
from stable_baselines3.common.vec_env import DummyVecEnv

from roboyard.agents import build_agent
from roboyard.policies import ObservationNormalizer, PolicyBundle
from roboyard.testing.agent_configs import small_agent, small_experiment
from roboyard.testing.fake_envs import FORCE, VECTOR, FakeEnv

torch.set_num_threads(1)


@pytest.fixture
def write_bundle(tmp_path):
    """Build an agent, write its bundle, return both."""

    def write(name="PPO", observation_space=VECTOR, *, normalizer=None, steps=0, **sections):
        config = small_experiment(small_agent(name, **sections.pop("agent", {})))
        env = DummyVecEnv([lambda: FakeEnv(observation_space, FORCE)] * 2)
        env.seed(1)
        agent = build_agent(config.agent, env, seed=3)
        if steps:
            agent.learn(steps)
        path = PolicyBundle.write(
            tmp_path / f"{name}.zip",
            policy=agent.policy,
            config=config,
            normalizer=normalizer,
            observation_space=observation_space,
            action_space=FORCE,
            provenance=sections.pop("provenance", {"seed": 3}),
            **sections,
        )
        return agent, path

    return write


@pytest.fixture
def bundle_path(write_bundle):
    normalizer = ObservationNormalizer([0.1, 0.2, 0.3], [1.0, 2.0, 3.0])
    return write_bundle(normalizer=normalizer)[1]
