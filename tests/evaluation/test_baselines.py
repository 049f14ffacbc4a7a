import json

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO

from roboyard.config.load import load, to_yaml
from roboyard.config.schema import EnvConfig
from roboyard.errors import ConfigError, PolicyError
from roboyard.evaluation.evaluate import evaluate_policy_spec
from roboyard.evaluation.policies import resolve_policy, resolve_subject
from roboyard.evaluation.scripted import RandomPolicy, ZeroPolicy
from roboyard.policies.bundle.policy_bundle import PolicyBundle
from roboyard.storage.seal import sealed

CARTPOLE = EnvConfig(id="roboyard/SimpleRobot-v0", workers=0)


def write_run(folder, env=CARTPOLE, names=("best", "last")):
    """Make a run directory with an untrained PPO policy."""
    config = load(
        {
            "name": "cartpole",
            "env": env.model_dump(mode="json"),
            "agent": {"algorithm": "PPO"},
            "train": {"total_steps": 100},
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(to_yaml(config))
    for seed, name in enumerate(names):
        from roboyard.agents.factory import build_agent
        from roboyard.envs.vector.factory import make_vec_env

        venv = make_vec_env(CARTPOLE, num_envs=1, seeds=[0], workers=0)
        agent = build_agent(config.agent, venv, seed=seed)
        PolicyBundle.write(
            folder / "policy" / f"{name}.zip",
            policy=agent.policy,
            config=config,
            normalizer=None,
            observation_space=venv.observation_space,
            action_space=venv.action_space,
            provenance={},
        )
        venv.close()
    return folder


def test_a_run_directory_is_evaluated_where_it_was_trained(tmp_path):
    run = write_run(tmp_path / "run")
    best = evaluate_policy_spec(run, episodes=3, num_envs=2)
    file = evaluate_policy_spec(run / "policy" / "best.zip", episodes=3, num_envs=1)
    assert best == file


def test_the_best_and_the_last_policy_of_a_run_are_told_apart(tmp_path):
    run = write_run(tmp_path / "run")
    observation = np.ones((1, 4), np.float32)
    best, last = (resolve_policy(run, which=which) for which in ("best", "last"))
    assert best.predict(observation)[0] != last.predict(observation)[0]


def test_the_last_policy_stands_in_for_a_best_one(tmp_path):
    run = write_run(tmp_path / "run", names=("last",))
    assert resolve_subject(run).label == str(run / "policy" / "last.zip")


def test_a_run_without_a_policy_says_so_and_what_to_do(tmp_path):
    run = write_run(tmp_path / "run", names=())
    (run / "status.json").write_text(json.dumps({"state": "running", "step": 12}))
    with pytest.raises(PolicyError, match=r"no policy yet \(it is running at step 12\).*--resume"):
        resolve_policy(run)


def test_a_run_with_only_a_best_policy_refuses_the_last_one(tmp_path):
    run = write_run(tmp_path / "run", names=("best",))
    with pytest.raises(PolicyError, match="no last policy yet, only a best one"):
        resolve_policy(run, which="last")


def test_another_folder_is_not_taken_for_a_run(tmp_path):
    with pytest.raises(PolicyError, match=r"not a run directory.*config\.yaml") as caught:
        resolve_policy(tmp_path)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("randm", "'randm' is not a policy.*'module:function'.*Did you mean 'random'"),
        ("runs/nowhere", "'runs/nowhere' does not exist. Give a run directory"),
        ("best.zip", r"'best\.zip' does not exist"),
        ("no_such_module:act", "module 'no_such_module' cannot be imported"),
        ("evaluation_envs:leen", "Did you mean 'lean'"),
        ("math:pi", "is a float. It must be a function"),
        ("random", "does not say in which environment it runs.*--config"),
    ],
)
def test_a_wrong_name_is_an_error_that_says_what_is_accepted(spec, message):
    with pytest.raises(ConfigError, match=message):
        resolve_policy(spec)


def test_a_function_without_an_environment_is_an_error():
    with pytest.raises(ConfigError, match="in which environment"):
        resolve_subject("evaluation_envs:lean")


def test_an_object_or_class_with_predict_is_taken_as_it_is():
    assert type(resolve_policy("evaluation_envs:Remembering")).__name__ == "Remembering"


def test_code_that_a_bundle_file_names_needs_trust(tmp_path):
    env = EnvConfig(id="evaluation_envs:Countdown", workers=0)
    run = write_run(tmp_path / "run", env)
    file = run / "policy" / "best.zip"
    with pytest.raises(PolicyError, match=r"evaluation_envs:Countdown.*--trust-code"):
        resolve_subject(file)
    assert resolve_subject(file, trust_code=True).env.id == "evaluation_envs:Countdown"
    assert resolve_subject(file, CARTPOLE).env == CARTPOLE
    with pytest.raises(PolicyError, match=r"evaluation_envs:Countdown.*--trust-code"):
        resolve_subject(run)
    config = run / "config.yaml"
    config.write_text(sealed(config.read_text()))
    assert resolve_subject(run).env.id == "evaluation_envs:Countdown"


def test_code_hidden_in_arguments_needs_trust_too(tmp_path):
    env = CARTPOLE.model_copy(update={"kwargs": {"terms": [{"entry": "subprocess:run"}]}})
    run = write_run(tmp_path / "run", env)
    with pytest.raises(PolicyError, match="subprocess:run"):
        resolve_subject(run / "policy" / "best.zip")


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-1.0, 2.0, (3,)),
        spaces.Discrete(4, start=2),
        spaces.MultiDiscrete([2, 3]),
        spaces.MultiBinary(3),
    ],
)
def test_random_and_zero_actions_lie_in_the_space(space):
    observations = np.zeros((5, 2))
    for policy in (RandomPolicy(space, 0), ZeroPolicy(space)):
        actions, _ = policy.predict(observations)
        assert len(actions) == 5
        assert all(space.contains(action) for action in actions)


def test_zero_is_the_nearest_allowed_action():
    actions, _ = ZeroPolicy(spaces.Box(0.5, 2.0, (1,))).predict(np.zeros((1, 2)))
    assert actions.tolist() == [[0.5]]


def test_random_policies_repeat_from_their_seed_and_leave_the_space_alone():
    space = spaces.Box(-1.0, 1.0, (2,), seed=7)
    before = space.np_random.bit_generator.state
    first, again, other = (
        RandomPolicy(space, seed).predict(np.zeros((4, 1)))[0] for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert space.np_random.bit_generator.state == before


def test_a_policy_of_sb3_is_evaluated_as_it_is():
    from roboyard.evaluation.evaluator import Evaluator

    agent = PPO("MlpPolicy", "Pendulum-v1", n_steps=64, device="cpu", seed=0)
    short = EnvConfig(id="Pendulum-v1", max_episode_steps=3, workers=0)
    assert Evaluator(short, episodes=2).evaluate(agent.policy).lengths == (3, 3)
