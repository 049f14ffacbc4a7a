"""A bundle acts exactly as the agent that it was written from."""

import random

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize, VecTransposeImage

from roboyard.agents import build_agent
from roboyard.agents.spaces import channels_first, keys_to_normalize
from roboyard.config.load import to_dict
from roboyard.errors import PolicyError
from roboyard.policies import ObservationNormalizer, PolicyBundle, load_policy
from roboyard.policies.contract import Entry, PolicyContract, describe_env
from roboyard.testing.agent_configs import ALGORITHM_NAMES, small_agent, small_experiment
from roboyard.testing.fake_envs import FORCE, IMAGE, MIXED, VECTOR, FakeEnv

READS_DICTS = [name for name in ALGORITHM_NAMES if name not in ("ARS", "CrossQ")]


def trained(name, tmp_path, observation_space=VECTOR, **sections):
    """Train a little with a normaliser, write the bundle, return agent, env and policy."""
    venv = channels_first(DummyVecEnv([lambda: FakeEnv(observation_space, FORCE)] * 3))
    keys = keys_to_normalize(observation_space)
    env = VecNormalize(venv, norm_obs=observation_space is not IMAGE, norm_obs_keys=keys)
    env.seed(2)
    config = small_experiment(small_agent(name, **sections))
    agent = build_agent(config.agent, env, seed=3)
    agent.learn(24)
    env.training = False
    path = PolicyBundle.write(
        tmp_path / "policy.zip",
        policy=agent.policy,
        config=config,
        normalizer=ObservationNormalizer.from_vec_normalize(env),
        observation_space=observation_space,
        action_space=FORCE,
        provenance={"steps": 24},
    )
    return agent, env, load_policy(path)


def assert_same_actions(agent, env, policy, steps=12):
    plain = env.venv.venv if isinstance(env.venv, VecTransposeImage) else env.venv
    raw, state, expected_state = plain.reset(), None, None
    starts = np.ones(3, dtype=bool)
    for _ in range(steps):
        expected, expected_state = agent.predict(
            env.normalize_obs(raw), expected_state, starts, deterministic=True
        )
        actions, state = policy.predict(raw, state, starts)
        assert actions.dtype == expected.dtype
        assert np.array_equal(actions, expected)
        raw, _, starts, _ = plain.step(actions)
    return state


@pytest.mark.parametrize("name", ALGORITHM_NAMES)
def test_actions_are_those_of_the_agent_on_normalised_vectors(name, tmp_path):
    agent, env, policy = trained(name, tmp_path)
    assert_same_actions(agent, env, policy)


@pytest.mark.parametrize("name", READS_DICTS)
def test_actions_are_those_of_the_agent_on_dicts_with_images(name, tmp_path):
    agent, env, policy = trained(name, tmp_path, MIXED)
    assert_same_actions(agent, env, policy, steps=3)


@pytest.mark.parametrize("name", ["PPO", "SAC"])
def test_actions_are_those_of_the_agent_on_images(name, tmp_path):
    network = {"layer_norm": True, "extractor": {"kwargs": {"features_dim": 16}}}
    agent, env, policy = trained(name, tmp_path, IMAGE, network=network)
    assert_same_actions(agent, env, policy, steps=3)


@pytest.mark.parametrize(
    "sections",
    [
        {"network": {"layer_norm": True, "activation": "torch.nn:Softplus", "init": "orthogonal"}},
        {"network": {"log_std_init": -1.0}, "hyperparameters": {"use_sde": True}},
    ],
    ids=["layers", "gsde"],
)
@pytest.mark.parametrize("name", ["PPO", "SAC"])
def test_custom_networks_survive(name, sections, tmp_path):
    agent, env, policy = trained(name, tmp_path, **sections)
    assert_same_actions(agent, env, policy)


@pytest.mark.parametrize("name", ["PPO", "SAC"])
def test_sampled_actions_with_gsde_spread_as_the_policy_learnt(name, write_bundle):
    def spread(log_std):
        sections = {"network": {"log_std_init": log_std}, "hyperparameters": {"use_sde": True}}
        policy = load_policy(write_bundle(name, agent=sections)[1])
        observation = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
        sampled = policy.predict(observation, deterministic=False).actions
        return np.abs(sampled - policy.predict(observation).actions).mean()

    assert spread(-9.0) < 0.01 < 0.1 < spread(0.0)


def test_a_recurrent_policy_remembers_and_forgets_at_episode_starts(tmp_path):
    agent, env, policy = trained("RecurrentPPO", tmp_path)
    state = assert_same_actions(agent, env, policy)
    observation = env.venv.reset()
    fresh = policy.predict(observation, None, None).actions
    assert not np.array_equal(policy.predict(observation, state, np.zeros(3)).actions, fresh)
    assert np.array_equal(policy.predict(observation, state, np.ones(3)).actions, fresh)


def test_one_observation_gives_one_action(bundle_path):
    actions, state = load_policy(bundle_path).predict(np.zeros(3, np.float32))
    assert actions.shape == (2,)
    assert state is None
    assert FORCE.contains(actions)


def test_what_was_written_is_read(write_bundle):
    contract = PolicyContract(
        observations={"": (Entry(name="x", unit="m"), Entry(name="y"), Entry(name="z"))},
        control_period_s=0.02,
        robot={"joints": ["hip", "knee"]},
    )
    normalizer = ObservationNormalizer([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], clip=7.0, epsilon=1e-6)
    agent, path = write_bundle(
        "SAC", normalizer=normalizer, contract=contract, provenance={"git": None, "seed": 3}
    )
    bundle = PolicyBundle.read(path)
    assert bundle.algorithm == "SAC"
    assert bundle.observation_space == VECTOR
    assert bundle.action_space == FORCE
    assert bundle.provenance == {"git": None, "seed": 3}
    assert bundle.contract == contract
    assert to_dict(bundle.config)["agent"]["network"]["actor"] == [8, 8]
    assert bundle.normalizer.clip == 7.0
    assert bundle.normalizer.epsilon == 1e-6
    assert bundle.normalizer.var[""].tolist() == [4.0, 5.0, 6.0]
    for name, value in bundle.policy().policy.state_dict().items():
        assert torch.equal(value, agent.policy.state_dict()[name])


def test_equal_policies_give_equal_bytes(write_bundle):
    first = write_bundle()[1].read_bytes()
    assert write_bundle()[1].read_bytes() == first


def test_a_shared_extractor_is_stored_once(write_bundle):
    network = {"extractor": {"kwargs": {"features_dim": 8}}}
    agent, path = write_bundle("PPO", IMAGE, agent={"network": network})
    aliases = PolicyBundle.read(path).manifest.network.aliases
    assert aliases["pi_features_extractor.cnn.0.weight"] == "features_extractor.cnn.0.weight"
    unique = sum(value.numel() for value in agent.policy.parameters())
    assert path.stat().st_size < 4 * unique + 30_000


def test_loading_a_policy_disturbs_no_generator(bundle_path):
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    load_policy(bundle_path).predict(np.zeros(3, np.float32))
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])
    assert before[2] == random.getstate()


def test_state_shapes_of_a_recurrent_policy_are_in_the_bundle(write_bundle):
    bundle = PolicyBundle.read(write_bundle("RecurrentPPO")[1])
    assert bundle.manifest.network.state_shapes == ((1, 1, 8), (1, 1, 8))


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (np.zeros(4, np.float32), r"it has shape \(4,\), but the policy reads Box"),
        (np.zeros((2, 4), np.float32), r"it has shape \(2, 4\)"),
        ({"a": np.zeros(3)}, r"it has 'a': shape \(3,\)"),
        ("left", "it has type str"),
    ],
)
@pytest.mark.parametrize("normalised", [True, False])
def test_an_observation_of_another_shape_is_refused(write_bundle, observation, message, normalised):
    normalizer = ObservationNormalizer(np.zeros(3), np.ones(3)) if normalised else None
    policy = load_policy(write_bundle(normalizer=normalizer)[1])
    with pytest.raises(PolicyError, match=message):
        policy.predict(observation)


class TalkativeEnv:
    observation_names = ("cart position [m]", "pole angle [rad]", "contact")
    action_names = ("force [N]",)
    control_period = 0.02


def test_an_environment_describes_itself():
    contract = describe_env(TalkativeEnv())
    assert contract.observations[""] == (
        Entry(name="cart position", unit="m"),
        Entry(name="pole angle", unit="rad"),
        Entry(name="contact"),
    )
    assert contract.actions == (Entry(name="force", unit="N"),)
    assert contract.control_period_s == 0.02


def test_a_vector_of_environments_describes_itself_as_its_first():
    class Named(FakeEnv):
        observation_names = ("x [m]", "y [m]", "z [m]")

    contract = describe_env(DummyVecEnv([Named] * 2))
    assert contract.observations[""][2] == Entry(name="z", unit="m")
    assert contract.control_period_s is None


def test_an_environment_that_says_nothing_gives_an_empty_contract():
    assert describe_env(FakeEnv()) == PolicyContract()


@pytest.mark.parametrize("names", ["text", 3, [1, 2], {"a": 1}])
def test_names_of_another_form_are_refused(names):
    env = TalkativeEnv()
    env.observation_names = names
    with pytest.raises(PolicyError, match="TalkativeEnv's observation_names, action_names or"):
        describe_env(env)


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        ({"actions": [{"name": "force"}]}, "1 names are given for the 2 entries of the action"),
        ({"observations": {"": [{"name": "x"}]}}, "for the 3 entries of the observation"),
        ({"observations": {"arm": [{"name": "x"}]}}, "'arm', which the space does not have"),
    ],
)
def test_names_that_do_not_count_the_entries_are_refused(write_bundle, contract, message):
    with pytest.raises(PolicyError, match=message):
        write_bundle(contract=PolicyContract.model_validate(contract))


def test_spaces_that_are_not_the_policys_own_are_refused(write_bundle, tmp_path):
    agent, path = write_bundle()
    with pytest.raises(PolicyError, match=r"observation space .* does not fit the policy"):
        PolicyBundle.write(
            tmp_path / "other.zip",
            policy=agent.policy,
            config=PolicyBundle.read(path).config,
            normalizer=None,
            observation_space=spaces.Box(-1.0, 1.0, (7,)),
            action_space=FORCE,
            provenance={},
        )
    assert not (tmp_path / "other.zip").exists()
