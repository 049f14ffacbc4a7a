"""Every mistake gets one clear line and the exit code of its kind; nothing half-written stays."""

from __future__ import annotations

import shutil
from pathlib import Path

import gymnasium
import pytest

from roboyard import BaseRobotEnv

BAD_TEXT = [
    ("seed: 0\n", "name"),
    ("", "empty"),
    ("- a\n- b\n", "must be a mapping"),
    ("name: [unclosed\n", "bad.yaml:2"),
    ("name: a\nname: b\n", "given twice"),
    ("extends: bad.yaml\n", "bad.yaml"),
    ("extends: nowhere.yaml\n", "nowhere.yaml"),
    ("name: ${env:ROBOYARD_NOT_SET}\n", "ROBOYARD_NOT_SET"),
]

BAD_SETTING = [
    ("agent.hyperparameters.learning_rat=1e-3", "learning_rate"),
    ("agent.hyperparameters.gamma=1.5", "gamma"),
    ("agent.hyperparameters.n_steps=many", "n_steps"),
    ("agent.hyperparameters.batch_size=48", "batch_size"),
    ("agent.hyperparameters.learning_rate={type: linaer, start: 1}", "linear"),
    ("agent.network.activation=tanhh", "tanh"),
    ("agent.network.num_critics=2", "num_critics"),
    ("agent={algorithm: PPPO}", "PPO"),
    ("agent={algorithm: 'nowhere:Algorithm'}", "nowhere"),
    ("train.total_steps=-5", "total_steps"),
    ("train.total_stepss=5", "total_steps"),
    ("train.device=gpu", "cuda"),
    ("name=../outside", "name"),
    ("env.id=roboyard/SimpleRobt-v0", "roboyard/SimpleRobot-v0"),
    ("env.id=nowhere:Env", "nowhere"),
    ("env.id=roboyard.envs.simple:SimpleRobotEnvv", "SimpleRobotEnv"),
    ("env.kwargs={max_steps: 3}", "max_episode_steps"),
    ("callbacks=[{entry: 'pathlib:Path'}]", "BaseCallback"),
    ("callbacks=[{entry: 'nowhere'}]", "entry"),
    ("nonsense", "nonsense"),
]


class Broken(BaseRobotEnv):
    """An environment whose robot file is not one."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def _load(self):
        self.world.load_urdf("broken.urdf")

    def _apply(self, action): ...
    def _observe(self): ...
    def _reward(self): ...


def is_one_line(text: str) -> bool:
    return text.startswith("error: ") and text.count("\n") == 1 and "Traceback" not in text


@pytest.mark.parametrize(("text", "names"), BAD_TEXT, ids=[case[1] for case in BAD_TEXT])
def test_a_bad_file_is_named(roboyard, tmp_path: Path, text: str, names: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    outcome = roboyard("train", "bad.yaml")
    assert outcome.code == 2
    assert "bad.yaml" in outcome.err and names in outcome.err
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("setting", "names"), BAD_SETTING, ids=[case[0] for case in BAD_SETTING])
def test_a_bad_value_is_one_line_that_names_what_is_right(
    roboyard, tmp_path: Path, setting: str, names: str
) -> None:
    outcome = roboyard("train", "tiny.yaml", "--quiet", "--set", setting)
    assert outcome.code == 2, outcome.err
    assert names in outcome.err
    assert is_one_line(outcome.err), outcome.err


def test_a_store_that_cannot_be_written_is_named(roboyard, tmp_path: Path) -> None:
    outcome = roboyard("train", "tiny.yaml", "--set", "store=tiny.yaml")
    assert outcome.code == 1
    assert is_one_line(outcome.err) and "tiny.yaml" in outcome.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.yaml"]


def test_a_missing_file_is_one_line(roboyard) -> None:
    outcome = roboyard("train", "nowhere.yaml")
    assert outcome.code == 2
    assert is_one_line(outcome.err) and "nowhere.yaml: no such file" in outcome.err


def test_an_algorithm_that_cannot_act_here_is_refused_before_training(roboyard) -> None:
    outcome = roboyard(
        "train", "tiny.yaml", "--set", "env.id=CartPole-v1", "--set", "agent={algorithm: SAC}"
    )
    assert outcome.code == 2
    assert is_one_line(outcome.err) and "Discrete" in outcome.err and "PPO" in outcome.err


def test_an_unreadable_robot_file_is_named(roboyard, tmp_path: Path) -> None:
    (tmp_path / "broken.urdf").write_text("<robot name='x'><link>")
    outcome = roboyard("train", "tiny.yaml", "--set", "env.id=test_bad_input:Broken")
    assert outcome.code == 2
    assert is_one_line(outcome.err) and "broken.urdf" in outcome.err


def test_an_existing_run_is_never_overwritten(roboyard, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "tiny" / "mine"
    folder.mkdir(parents=True)
    (folder / "precious.txt").write_text("keep me")
    outcome = roboyard("train", "tiny.yaml", "--run-id", "mine")
    assert outcome.code == 2
    assert is_one_line(outcome.err) and "--resume" in outcome.err
    assert [path.name for path in folder.iterdir()] == ["precious.txt"]


def test_nothing_to_resume_is_said(roboyard) -> None:
    outcome = roboyard("train", "tiny.yaml", "--resume")
    assert outcome.code == 2
    assert is_one_line(outcome.err) and "tiny" in outcome.err


def test_a_folder_without_resume_is_refused(roboyard, tmp_path: Path) -> None:
    outcome = roboyard("train", str(tmp_path))
    assert outcome.code == 2
    assert is_one_line(outcome.err) and "--resume" in outcome.err


def test_a_folder_that_is_no_run_cannot_be_resumed(roboyard, tmp_path: Path) -> None:
    outcome = roboyard("train", str(tmp_path), "--resume")
    assert outcome.code == 2
    assert is_one_line(outcome.err) and str(tmp_path) in outcome.err


@pytest.mark.parametrize("policy", ["rndom", "nowhere/at/all", "nowhere:act", "math:sqrtt"])
def test_an_unknown_policy_is_named(roboyard, policy: str) -> None:
    outcome = roboyard("evaluate", policy, "--config", "tiny.yaml")
    assert outcome.code in (1, 2)
    assert is_one_line(outcome.err) and policy.partition(":")[0] in outcome.err


def test_a_baseline_needs_a_config(roboyard) -> None:
    outcome = roboyard("evaluate", "random")
    assert outcome.code == 2
    assert is_one_line(outcome.err) and "--config" in outcome.err


def test_init_overwrites_nothing(roboyard, tmp_path: Path) -> None:
    before = (tmp_path / "tiny.yaml").read_text()
    outcome = roboyard("init", "tiny.yaml")
    assert outcome.code == 2
    assert is_one_line(outcome.err) and "tiny.yaml" in outcome.err
    assert (tmp_path / "tiny.yaml").read_text() == before


def test_list_configs_of_a_missing_folder_is_refused(roboyard) -> None:
    outcome = roboyard("list", "configs", "nowhere")
    assert outcome.code == 2
    assert is_one_line(outcome.err)


@pytest.mark.parametrize("arguments", [("trian",), ("train",), ("train", "tiny.yaml", "--sett")])
def test_a_wrong_command_line_is_the_users_mistake(roboyard, arguments: tuple[str, ...]) -> None:
    outcome = roboyard(*arguments)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err


def test_debug_shows_the_traceback(roboyard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOYARD_DEBUG", "")
    with pytest.raises(Exception, match=r"nowhere\.yaml"):
        roboyard("--debug", "train", "nowhere.yaml")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_config: str) -> Path:
    import roboyard

    store = tmp_path_factory.mktemp("store")
    (store / "tiny.yaml").write_text(tiny_config)
    result = roboyard.train(store / "tiny.yaml", [f"store={store}"], run_id="one")
    return result.run_dir


class TestWithARun:
    """Mistakes around a run that exists."""

    @pytest.fixture
    def run(self, trained: Path, tmp_path: Path) -> Path:
        return Path(shutil.copytree(trained, tmp_path / "run"))

    @pytest.mark.parametrize(
        ("setting", "names"),
        [
            ("agent={algorithm: A2C}", "agent.algorithm"),
            ("env.id=Pendulum-v1", "env.id"),
            ("seed=9", "seed"),
            ("train.total_steps=64", "total_steps"),
        ],
    )
    def test_another_config_cannot_continue_it(
        self, roboyard, run: Path, setting: str, names: str
    ) -> None:
        outcome = roboyard("train", str(run), "--resume", "--set", setting)
        assert outcome.code == 2
        assert is_one_line(outcome.err) and names in outcome.err

    def test_when_every_checkpoint_is_damaged_it_is_said(self, roboyard, run: Path) -> None:
        for part in run.glob("checkpoints/*/policy.safetensors"):
            part.write_bytes(part.read_bytes()[:-1])
        outcome = roboyard("train", str(run), "--resume", "--set", "train.total_steps=192")
        assert outcome.code == 1
        assert "Traceback" not in outcome.err and "checkpoint" in outcome.err

    def test_a_damaged_bundle_is_refused(self, roboyard, run: Path) -> None:
        bundle = run / "policy" / "best.zip"
        bundle.write_bytes(bundle.read_bytes()[:-30])
        outcome = roboyard("evaluate", str(bundle))
        assert outcome.code == 1
        assert is_one_line(outcome.err) and "best.zip" in outcome.err

    def test_a_policy_of_another_environment_is_refused(self, roboyard, run: Path) -> None:
        outcome = roboyard(
            "evaluate", str(run), "--config", "tiny.yaml", "--set", "env.id=Pendulum-v1"
        )
        assert outcome.code == 1
        assert is_one_line(outcome.err) and "observation" in outcome.err

    def test_a_run_without_a_policy_is_said(self, roboyard, run: Path) -> None:
        shutil.rmtree(run / "policy")
        outcome = roboyard("evaluate", str(run))
        assert outcome.code in (1, 2)
        assert is_one_line(outcome.err) and "policy" in outcome.err

    def test_a_damaged_config_of_the_run_is_named(self, roboyard, run: Path) -> None:
        (run / "config.yaml").write_text("name: [")
        outcome = roboyard("train", str(run), "--resume")
        assert outcome.code == 2
        assert is_one_line(outcome.err) and "config.yaml" in outcome.err
