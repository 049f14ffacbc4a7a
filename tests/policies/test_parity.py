"""Every algorithm, each kind of observation: a bundle's graph acts as the run's own policy.

Compared on observations of whole episodes, and by episodes that the bundle drives alone. The
default suite takes a short form of each; the whole of it is marked as slow.
"""

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from roboyard.agents import build_agent
from roboyard.agents.spaces import channels_first, keys_to_normalize
from roboyard.config.schema import EnvConfig
from roboyard.envs.factory import make_env
from roboyard.policies import ObservationNormalizer, PolicyBundle, load_policy
from roboyard.policies.export.finalize import export
from roboyard.policies.runtime.policy import RuntimePolicy
from roboyard.testing.agent_configs import (
    ALGORITHM_NAMES,
    COMPILED_NAMES,
    small_agent,
    small_experiment,
)
from roboyard.testing.fake_envs import FORCE, GOAL, IMAGE, MIXED, VECTOR, FakeEnv

TOLERANCE = 1e-5
CNN = {"extractor": {"kwargs": {"features_dim": 8}}}
MIXED_CNN = {"extractor": {"kwargs": {"cnn_output_dim": 8}}}
KINDS = {
    "vector": (VECTOR, {}),
    "image": (IMAGE, CNN),
    "dict": (GOAL, {}),
    "dict with image": (MIXED, MIXED_CNN),
}
READS_ONLY_VECTORS = ("ARS", "CrossQ")
PAIRS = [
    (name, kind)
    for name in ALGORITHM_NAMES
    for kind in KINDS
    if kind == "vector" or name not in READS_ONLY_VECTORS
]
DISCRETE = {
    "discrete": spaces.Discrete(3),
    "multi-discrete": spaces.MultiDiscrete([2, 3]),
    "multi-binary": spaces.MultiBinary(3),
}
PICKS = [(name, kind) for name in ("PPO", "A2C", "TRPO") for kind in DISCRETE]
PICKS += [("RecurrentPPO", "discrete"), ("RecurrentPPO", "multi-discrete"), ("ARS", "discrete")]


def train(path, name, make_one, **sections):
    """Train a little with a normaliser and write the bundle."""
    venv = channels_first(DummyVecEnv([make_one] * 2))
    space = make_one().observation_space
    keys = keys_to_normalize(space)
    env = VecNormalize(venv, norm_obs=not is_image(space), norm_obs_keys=keys)
    env.seed(2)
    config = small_experiment(small_agent(name, **sections))
    agent = build_agent(config.agent, env, seed=3)
    agent.learn(24)
    return PolicyBundle.write(
        path,
        policy=agent.policy,
        config=config,
        normalizer=ObservationNormalizer.from_vec_normalize(env),
        observation_space=space,
        action_space=make_one().action_space,
        provenance={},
    )


def is_image(space):
    return isinstance(space, spaces.Box) and len(space.shape) == 3


def drive(env, policy, seed, steps):
    """Return the actions and rewards of episodes that the policy drives."""
    observation, _ = env.reset(seed=seed)
    state, start = None, np.ones(1, bool)
    history = []
    for _ in range(steps):
        batch = (
            {key: np.asarray(value)[None] for key, value in observation.items()}
            if isinstance(observation, dict)
            else np.asarray(observation)[None]
        )
        actions, state = policy.predict(batch, state, start)
        observation, reward, terminated, truncated, _ = env.step(actions[0])
        history.append(np.append(np.ravel(actions[0]), reward))
        start = np.array([terminated or truncated])
        if start[0]:
            observation, _ = env.reset()
    return np.array(history)


def assert_one_artefact(path, make_one, observations, steps):
    whole = ("onnx", "torchscript") if observations == 1000 else ("onnx",)
    for form in whole:
        result = export(path, make_env=make_one, form=form, observations=observations)
        assert result.observations == observations
        assert result.largest_difference <= TOLERANCE
    assert PolicyBundle.read(path).manifest.onnx.parity.largest_difference <= TOLERANCE
    own, alone = load_policy(path), RuntimePolicy.open(path)
    expected, found = (drive(make_one(), policy, 5, steps) for policy in (own, alone))
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


def check_kind(tmp_path, name, kind, observations, steps, **sections):
    space, network = KINDS[kind]

    def make_one():
        return FakeEnv(space, FORCE)

    path = train(tmp_path / "policy.zip", name, make_one, network=network, **sections)
    assert_one_artefact(path, make_one, observations, steps)


def check_actions(tmp_path, name, kind, observations, steps):
    def make_one():
        return FakeEnv(VECTOR, DISCRETE[kind])

    path = train(tmp_path / "policy.zip", name, make_one)
    assert_one_artefact(path, make_one, observations, steps)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_graph_and_policy_are_one_for_every_observation(name, kind, tmp_path):
    check_kind(tmp_path, name, kind, 40, 20)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_graph_and_policy_are_one_on_a_thousand_observations(name, kind, tmp_path):
    check_kind(tmp_path, name, kind, 1000, 200)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [pair for pair in PAIRS if pair[0] in COMPILED_NAMES])
def test_what_the_jax_backend_learnt_is_one_artefact_too(name, kind, tmp_path):
    pytest.importorskip("jax")
    check_kind(tmp_path, name, kind, 1000, 200, backend="jax")


@pytest.mark.parametrize(("name", "kind"), PICKS)
def test_graph_and_policy_choose_the_same_of_discrete_actions(name, kind, tmp_path):
    check_actions(tmp_path, name, kind, 40, 20)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), PICKS)
def test_graph_and_policy_choose_the_same_a_thousand_times(name, kind, tmp_path):
    check_actions(tmp_path, name, kind, 1000, 200)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["SimpleRobot", "hopper-run", "a1-velocity"])
@pytest.mark.parametrize("name", ALGORITHM_NAMES)
def test_an_episode_of_a_real_robot_is_the_same_driven_by_the_bundle_alone(name, task, tmp_path):
    def make_one():
        return make_env(EnvConfig(id=task))

    path = train(tmp_path / "policy.zip", name, make_one)
    # Two seconds: contacts make more and more of the last bits, in which batches differ too.
    assert_one_artefact(path, make_one, 1000, 100)
