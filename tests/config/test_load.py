"""Reading: files, what they extend, variables, overrides, and back to text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from roboyard.config.load import load, to_dict, to_yaml
from roboyard.config.schedules import LinearSchedule
from roboyard.errors import ConfigError

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
MINIMAL = """\
name: mini
env: {id: roboyard/SimpleRobot-v0}
agent: {algorithm: PPO}
train: {total_steps: 1000}
"""


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    path = tmp_path / "mini.yaml"
    path.write_text(MINIMAL)
    return path


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_minimal_file_gets_every_default(minimal: Path) -> None:
    config = load(minimal)
    assert config.agent.algorithm == "PPO"
    assert config.agent.hyperparameters.n_steps == 2048
    assert config.evaluation.final_episodes == 20


def test_path_may_be_text(minimal: Path) -> None:
    assert load(str(minimal)) == load(minimal)


def test_config_is_frozen(minimal: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(minimal).seed = 3


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_load_and_round_trip(path: Path, tmp_path: Path) -> None:
    config = load(path)
    assert load(to_dict(config)) == config
    assert load(write(tmp_path, "again.yaml", to_yaml(config))) == config


def test_round_trip_keeps_awkward_values(minimal: Path, tmp_path: Path) -> None:
    kwargs = {
        "tiny": 5e-324, "third": 1 / 3, "big": 1.7976931348623157e308, "whole": 3.0, "int": 2**62,
        "texts": ["1e-3", "on", "010", "1:30", "2024-01-01", "", " x ", "null", "<<", "#", "a: b",
                  "${env:HOME}", "$${env:HOME}", "${x}", "line\nbreak\n", "\u00e9\U0001f916", "~",
                  "-"],
        "nested": {"on": None, "1": True, "": []},
    }  # fmt: skip
    config = load({**to_dict(load(minimal)), "env": {"id": "a:B", "kwargs": kwargs}})
    assert config.env.kwargs == kwargs
    assert load(to_dict(config)) == config
    again = load(write(tmp_path, "again.yaml", to_yaml(config)))
    assert again == config
    assert repr(again.env.kwargs) == repr(config.env.kwargs)


def test_numpy_numbers_in_a_mapping_are_numbers(minimal: Path) -> None:
    numpy = pytest.importorskip("numpy")
    data = to_dict(load(minimal))
    data["seed"] = numpy.int64(7)
    data["env"]["kwargs"] = {"x": numpy.float32(0.5)}
    assert load(data).seed == 7
    assert load(data).env.kwargs == {"x": 0.5}


def test_mapping_is_not_interpolated_and_not_changed(minimal: Path) -> None:
    data = to_dict(load(minimal))
    data["env"]["kwargs"] = {"text": "${env:NO_SUCH_VARIABLE}"}
    before = repr(data)
    assert load(data).env.kwargs == {"text": "${env:NO_SUCH_VARIABLE}"}
    assert repr(data) == before


@pytest.mark.parametrize("name", ["ppo", "PPO", "Ppo"])
def test_algorithm_names_ignore_case(minimal: Path, name: str) -> None:
    assert load(minimal, [f"agent.algorithm={name}"]) == load(minimal)


def test_whole_float_is_an_integer_where_one_is_needed(minimal: Path) -> None:
    config = load(
        minimal,
        ["train.total_steps=3e5", "env.workers=2.0", "agent.network.actor=[6.4e1, 32]"],
    )
    assert config.train.total_steps == 300_000
    assert config.env.workers == 2
    assert config.agent.network.actor == (64, 32)


def test_user_kwargs_keep_their_number_types(minimal: Path) -> None:
    config = load(minimal, ["env.kwargs={a: 3e5, b: 3}", "train.total_steps=3e5"])
    assert [type(value) for value in config.env.kwargs.values()] == [float, int]


def test_schedules_become_records(minimal: Path) -> None:
    config = load(minimal, ["agent.hyperparameters.learning_rate={type: linear, start: 1e-3}"])
    assert config.agent.hyperparameters.learning_rate == LinearSchedule(type="linear", start=0.001)


# Extending.


def test_extends_merges_deeply_relative_to_the_file(tmp_path: Path) -> None:
    write(tmp_path, "base/mini.yaml", MINIMAL + "seed: 5\n")
    child = write(
        tmp_path, "child.yaml", "extends: base/mini.yaml\nname: child\ntrain: {device: cpu}\n"
    )
    config = load(child)
    assert (config.name, config.seed) == ("child", 5)
    assert (config.train.total_steps, config.train.device) == (1000, "cpu")


def test_later_files_of_a_list_win(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", MINIMAL)
    write(tmp_path, "b.yaml", "seed: 2\nname: b\n")
    child = write(tmp_path, "c.yaml", "extends: [a.yaml, b.yaml]\nname: c\n")
    assert (load(child).name, load(child).seed) == ("c", 2)


def test_another_algorithm_replaces_the_whole_agent(tmp_path: Path) -> None:
    base = MINIMAL.replace("PPO}", "PPO, hyperparameters: {n_epochs: 3}}")
    write(tmp_path, "base.yaml", base)
    same = write(
        tmp_path, "same.yaml", "extends: base.yaml\nagent: {hyperparameters: {gamma: 0.9}}\n"
    )
    other = write(tmp_path, "other.yaml", "extends: base.yaml\nagent: {algorithm: SAC}\n")
    assert load(same).agent.hyperparameters.n_epochs == 3
    assert load(same).agent.hyperparameters.gamma == 0.9
    assert load(other).agent.algorithm == "SAC"


def test_diamond_of_files_is_no_circle(tmp_path: Path) -> None:
    write(tmp_path, "root.yaml", MINIMAL)
    write(tmp_path, "left.yaml", "extends: root.yaml\nseed: 1\n")
    write(tmp_path, "right.yaml", "extends: root.yaml\nstore: elsewhere\n")
    config = load(write(tmp_path, "both.yaml", "extends: [left.yaml, right.yaml]\n"))
    assert config.store == "elsewhere"


def test_circle_of_files_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "extends: b.yaml\n")
    path = write(tmp_path, "b.yaml", "name: b\nextends: a.yaml\n")
    with pytest.raises(ConfigError, match=r"a.yaml:1: extends: .*circle: b.yaml -> a.yaml -> b.ya"):
        load(path)


def test_too_many_files_are_an_error(tmp_path: Path) -> None:
    for level in range(8):
        write(tmp_path, f"{level}.yaml", f"extends: [{level + 1}.yaml, {level + 1}.yaml]\n")
    write(tmp_path, "8.yaml", MINIMAL)
    with pytest.raises(ConfigError, match="more than 50 files"):
        load(tmp_path / "0.yaml")


def test_problem_in_a_base_file_names_that_file(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", MINIMAL + "sed: 1\n")
    child = write(tmp_path, "child.yaml", "extends: base.yaml\n")
    with pytest.raises(ConfigError, match=r"base\.yaml:5: sed: unknown key\. Did you mean 'seed'"):
        load(child)


def test_missing_base_file_names_the_line_that_wants_it(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", MINIMAL)
    child = write(tmp_path, "child.yaml", "seed: 1\nextends: bsae.yaml\n")
    with pytest.raises(ConfigError) as caught:
        load(child)
    assert str(caught.value) == (
        f"{child}:2: extends: {tmp_path}/bsae.yaml: no such file. Did you mean 'base.yaml'?"
    )


# Environment variables.


def test_variables_are_read_as_yaml_scalars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RY_SEED", "12")
    monkeypatch.setenv("RY_EMPTY", "")
    monkeypatch.setenv("RY_LIST", "[1, 2]")
    text = (
        "name: variables\n"
        "seed: ${env:RY_SEED}\n"
        'store: "${env:RY_EMPTY:-run}s-${env:RY_SEED}"\n'
        "env: {id: 'a:B', kwargs: {list: '${env:RY_LIST}'}}\n"
        "agent: {algorithm: PPO}\n"
        "train: {total_steps: '${env:RY_STEPS:-1e3}'}\n"
        "tracking: {tensorboard: '${env:RY_ABSENT:-off}'}\n"
    )
    config = load(write(tmp_path, "v.yaml", text))
    assert (config.seed, config.store) == (12, "runs-12")
    assert config.tracking.tensorboard is False
    assert config.train.total_steps == 1000
    assert config.env.kwargs == {"list": "[1, 2]"}


def test_doubled_dollar_is_literal(minimal: Path) -> None:
    config = load(minimal, ["env.kwargs.text='$${env:HOME}'"])
    assert config.env.kwargs == {"text": "${env:HOME}"}


def test_unset_variable_names_file_line_and_key(tmp_path: Path) -> None:
    path = write(tmp_path, "v.yaml", MINIMAL + "seed: ${env:RY_UNSET}\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == (
        f"{path}:5: seed: environment variable RY_UNSET is not set. Run 'export RY_UNSET=...' "
        "first, or give a default: ${env:RY_UNSET:-default}."
    )


# Overrides.


def test_override_sets_optional_fields_that_the_file_lacks(minimal: Path) -> None:
    config = load(minimal, ["early_stop.patience=3", "agent.network.lstm_size=null"])
    assert config.early_stop.patience == 3


def test_overrides_apply_in_order(minimal: Path) -> None:
    assert load(minimal, ["seed=1", "seed=2"]).seed == 2


def test_override_addresses_list_items_and_appends(minimal: Path) -> None:
    config = load(
        minimal,
        ["callbacks=[{entry: 'a:B'}]", "callbacks.0.entry=a:C", "callbacks.1.entry=a:D"],
    )
    assert [callback.entry for callback in config.callbacks] == ["a:C", "a:D"]
    assert load(minimal, ["callbacks.0.entry=a:B"]).callbacks[0].entry == "a:B"


def test_override_replaces_a_mapping_as_a_whole(minimal: Path) -> None:
    config = load(minimal, ["agent={algorithm: SAC}"])
    assert config.agent.algorithm == "SAC"


def test_override_value_may_hold_an_equals_sign(minimal: Path) -> None:
    assert load(minimal, ["store=a=b"]).store == "a=b"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "override 'seed' is not of the form 'key.key=value'"),
        ("=1", "override '=1' is not of the form"),
        ("a..b=1", "override 'a..b=1' is not of the form"),
        ("seed=[1", "override 'seed=[1':1:3: YAML syntax error"),
        ("seed.x=1", "override: seed.x: 'seed' is 3, which has no keys."),
        (
            "callbacks.2.entry=a:B",
            "override: callbacks.2: 'callbacks' is a list of 0; use an index",
        ),
        ("agnt.x=1", "override: agnt: unknown key. Did you mean 'agent'?"),
        ("train.total_step=1", "override: train.total_step: unknown key. Did you mean 'total_st"),
        ("seed=${env:RY_UNSET}", "environment variable RY_UNSET is not set"),
    ],
)
def test_bad_override_says_what_is_wrong(minimal: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(minimal, ["seed=3", "callbacks=[]", override])
    assert message in str(caught.value)


def test_importing_the_config_needs_no_heavy_package() -> None:
    code = (
        "import sys, roboyard.config.load; "
        "print([m for m in ('torch', 'numpy', 'pybullet', 'stable_baselines3', 'gymnasium') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
