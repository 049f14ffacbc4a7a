"""A bundle's graph acts as its network, on NumPy and onnxruntime alone."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv

from roboyard.agents import build_agent
from roboyard.config.schema import EnvConfig
from roboyard.evaluation.evaluator import Evaluator
from roboyard.policies import ObservationNormalizer, PolicyBundle
from roboyard.policies.export.finalize import export
from roboyard.policies.runtime.policy import ObservationError, RuntimePolicy
from roboyard.testing.agent_configs import ALGORITHM_NAMES, small_agent, small_experiment
from roboyard.testing.fake_envs import FORCE, MIXED, VECTOR, FakeEnv

STATISTICS = {
    id(VECTOR): ([0.1, 0.2, 0.3], [1.0, 2.0, 3.0]),
    id(MIXED): ({"joints": [0.1, 0.2]}, {"joints": [0.5, 2.0]}),
}
DOUBLES = spaces.Box(-3.0, 3.0, (3,), np.float64)


@pytest.fixture
def exported(tmp_path):
    """Write a bundle, export it, return both kinds of policy and what the export said."""

    def make(
        name, observation_space=VECTOR, action_space=FORCE, *, learn=False, count=50, **sections
    ):
        config = small_experiment(small_agent(name, **sections))
        env = DummyVecEnv([lambda: FakeEnv(observation_space, action_space)] * 2)
        env.seed(1)
        agent = build_agent(config.agent, env, seed=3)
        if learn:
            agent.learn(16)
        statistics = STATISTICS.get(id(observation_space))
        path = PolicyBundle.write(
            tmp_path / f"{name}.zip",
            policy=agent.policy,
            config=config,
            normalizer=statistics and ObservationNormalizer(*statistics),
            observation_space=observation_space,
            action_space=action_space,
            provenance={},
        )
        torch.manual_seed(0)
        result = export(
            path,
            make_env=lambda: FakeEnv(observation_space, action_space),
            observations=count,
        )
        return RuntimePolicy.open(path), PolicyBundle.read(path).policy(), result

    return make


def assert_equal(exported, *arguments, **sections):
    runtime, policy, result = exported(*arguments, **sections)
    assert result.observations == sections.get("count", 50)
    assert result.largest_difference <= 1e-6
    assert runtime.contract.algorithm == arguments[0]
    return runtime, policy


@pytest.mark.parametrize("name", ALGORITHM_NAMES)
def test_every_algorithm_acts_the_same_on_normalised_vectors(exported, name):
    runtime, policy = assert_equal(exported, name, learn=True, count=1000)
    observation = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    actions = runtime.act(observation).actions
    assert np.allclose(actions, policy.predict(observation).actions, atol=1e-6)
    assert actions.dtype == np.float32


@pytest.mark.parametrize("space", [spaces.Discrete(5), DOUBLES], ids=str)
def test_other_observations_are_read(exported, space):
    if space is DOUBLES:
        assert_equal(exported, "PPO", space, spaces.Box(-2.0, 3.0, (2,), np.float64))
    else:
        assert_equal(exported, "PPO", space)


@pytest.mark.parametrize("name", ["PPO", "SAC"])
@pytest.mark.parametrize(
    "sections",
    [
        {"network": {"layer_norm": True, "activation": "torch.nn:Softplus"}},
        {"network": {"activation": "gelu"}},
        {"network": {"log_std_init": -1.0}, "hyperparameters": {"use_sde": True}},
    ],
    ids=["layers", "gelu", "gsde"],
)
def test_custom_networks_are_the_same(exported, name, sections):
    assert_equal(exported, name, **sections)


def test_a_recurrent_policy_remembers_and_forgets_at_episode_starts(exported):
    runtime, policy = assert_equal(exported, "RecurrentPPO", learn=True)
    assert runtime.contract.state_shapes == ((1, 1, 8), (1, 1, 8))
    rng = np.random.default_rng(0)
    state = expected_state = None
    for step in range(6):
        observation = rng.normal(size=(4, 3)).astype(np.float32)
        start = np.array([step == 0, False, step == 3, True])
        actions, state = runtime.act(observation, state=state, episode_start=start)
        expected, expected_state = policy.predict(observation, expected_state, start)
        assert np.allclose(actions, expected, atol=1e-6)
        assert np.allclose(state, expected_state, atol=1e-6)
    fresh = runtime.act(observation).actions
    forgot = runtime.act(observation, state=state, episode_start=np.ones(4)).actions
    assert np.array_equal(forgot, fresh)
    assert not np.array_equal(runtime.act(observation, state=state).actions, fresh)


@pytest.mark.parametrize("name", ["PPO", "SAC", "CrossQ"])
def test_sampled_actions_have_the_distribution_of_the_policys(exported, name):
    runtime, policy, _ = exported(name)
    observation = np.full((4000, 3), 0.3, np.float32)
    torch.manual_seed(0)
    expected = policy.predict(observation, deterministic=False).actions
    actions = runtime.act(observation, seed=0).actions
    assert np.allclose(actions.mean(0), expected.mean(0), atol=0.08)
    assert np.allclose(actions.std(0), expected.std(0), atol=0.08)
    assert np.allclose(np.sort(actions, 0)[::400], np.sort(expected, 0)[::400], atol=0.25)


@pytest.mark.parametrize(
    "action_space",
    [spaces.Discrete(3), spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(2)],
    ids=str,
)
def test_sampled_discrete_actions_have_the_probabilities_of_the_policys(exported, action_space):
    runtime, policy, _ = exported("A2C", action_space=action_space, learn=True)
    observation = np.full((4000, 3), 0.3, np.float32)
    torch.manual_seed(0)
    expected = policy.predict(observation, deterministic=False).actions
    actions = runtime.act(observation, seed=0).actions
    for value in range(3):
        shares = (actions == value).mean(0), (expected == value).mean(0)
        assert np.allclose(*shares, atol=0.04)


def test_the_same_seed_gives_the_same_sample(exported):
    runtime, policy, _ = exported("SAC")
    observation = np.zeros((3, 3), np.float32)
    first = runtime.act(observation, seed=7).actions
    assert np.array_equal(runtime.act(observation, seed=7).actions, first)
    assert not np.array_equal(runtime.act(observation, seed=8).actions, first)
    rows = runtime.act(observation, seed=[7, None, 7]).actions
    assert np.array_equal(rows[0], rows[2])
    assert np.allclose(rows[1], policy.predict(observation).actions[1], atol=1e-6)


def test_an_evaluation_of_the_graph_is_that_of_the_policy(exported):
    runtime, policy, _ = exported("PPO", learn=True)
    env = EnvConfig(id="roboyard.testing.fake_envs:FakeEnv")
    with Evaluator(env, episodes=4, num_envs=2, seed=1) as evaluator:
        first, second = evaluator.evaluate(runtime), evaluator.evaluate(policy)
    assert np.allclose(first.returns, second.returns, atol=1e-5)
    with Evaluator(env, episodes=2, num_envs=1, seed=1, deterministic=False) as evaluator:
        assert evaluator.evaluate(runtime).returns == evaluator.evaluate(runtime).returns


def test_one_observation_gives_one_action(exported):
    runtime, _, _ = exported("PPO")
    actions, state = runtime.predict(np.zeros(3, np.float32))
    assert actions.shape == (2,)
    assert state is None


def test_the_contract_travels_in_the_onnx_file(exported, tmp_path):
    runtime, _, _ = exported("TD3")
    path = tmp_path / "policy.onnx"
    export(tmp_path / "TD3.zip", make_env=FakeEnv, output=path, observations=10)
    alone = RuntimePolicy.open(path)
    assert alone.contract == runtime.contract
    assert alone.name == "fake"
    assert alone.contract.noise is None
    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert b"/work" not in path.read_bytes()
    assert [entry.key for entry in model.metadata_props] == ["roboyard"]
    observation = np.ones((1, 3), np.float32)
    assert np.array_equal(alone.act(observation).actions, runtime.act(observation).actions)


def test_the_runtime_needs_only_numpy_and_onnxruntime(exported, tmp_path):
    exported("SAC")
    code = (
        "import sys; from roboyard.policies.runtime.policy import RuntimePolicy; "
        "import numpy as np; "
        f"policy = RuntimePolicy.open({str(tmp_path / 'SAC.zip')!r}); "
        "policy.act(np.zeros((1, 3), np.float32)); "
        "heavy = {'torch', 'stable_baselines3', 'sb3_contrib', 'pybullet', 'gymnasium', "
        "'pydantic', 'onnx', 'safetensors'}; print(heavy & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (np.zeros(3), r"has the shape \(3,\), but the policy reads batches of shape \(batch, 3\)"),
        (np.zeros((1, 4)), r"has the shape \(1, 4\)"),
        (np.zeros((0, 3)), r"has the shape \(0, 3\)"),
        ([[1.0, 2.0], [1.0]], "its rows differ"),
        (np.array([["a", "b", "c"]]), "has the type <U1, but the policy reads float32"),
        (np.array([[0, 1j, 0]]), "has the type complex128"),
        (np.array([[0, 0, 0], [0, np.nan, 0]]), r"row 1: entry '\[1\]' is nan, which is not a fin"),
        (np.array([[0, 0, np.inf]]), r"row 0: entry '\[2\]' is inf, which is not a finite number"),
        ({"a": np.zeros((1, 3))}, "is a mapping with the keys 'a', but the policy reads one array"),
    ],
)
def test_a_wrong_observation_is_refused_by_name(exported, observation, message):
    runtime, _, _ = exported("PPO")
    with pytest.raises(ObservationError, match=message):
        runtime.validate(observation)
    with pytest.raises(ObservationError, match=message):
        runtime.act(observation)


GOOD = {"camera": np.zeros((1, 40, 36, 3), np.uint8), "joints": np.zeros((1, 2), np.float32)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joints": np.array([[0.5, 1.1]])}, r"'joints', row 0: entry '\[1\]' is 1.1.*from -1 to"),
        (
            {"camera": np.full((1, 40, 36, 3), 256)},
            "is 256, which is out of range. Allowed: from 0",
        ),
        ({"camera": np.zeros((1, 40, 36, 3))}, r"reads uint8 \(whole numbers\)"),
        ({"camera": np.zeros((2, 40, 36, 3), np.uint8)}, "differ in number: 'camera': 2, 'joints'"),
        ({"joint": np.zeros((1, 2))}, "unknown key 'joint'.*Did you mean 'joints'"),
    ],
)
def test_a_wrong_entry_of_a_dict_is_refused_by_name(exported, change, message):
    network = {"extractor": {"kwargs": {"cnn_output_dim": 8}}}
    runtime, _, _ = exported("PPO", MIXED, network=network)
    runtime.validate(GOOD)
    runtime.validate(GOOD | {"joints": np.array([[1.0000001, -1.0]])})
    with pytest.raises(ObservationError, match=message):
        runtime.validate(GOOD | change)
    with pytest.raises(ObservationError, match="lacks the key 'joints'"):
        runtime.validate({"camera": GOOD["camera"]})


def test_a_wrong_state_is_refused(exported):
    runtime, _, _ = exported("RecurrentPPO")
    observation = np.zeros((2, 3), np.float32)
    with pytest.raises(Exception, match=r"state must be finite arrays of shapes \[\(1, 2, 8\)"):
        runtime.act(observation, state=(np.zeros((1, 1, 8)),) * 2)
    with pytest.raises(Exception, match=r"episode_start must have the shape \(2,\)"):
        runtime.act(observation, episode_start=np.ones(1))
