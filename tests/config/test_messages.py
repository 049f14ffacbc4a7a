"""Every kind of mistake has one line that names the place and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from roboyard.config.load import load
from roboyard.errors import ConfigError

GOOD = """\
name: good
seed: 0
env:
  id: roboyard/SimpleRobot-v0
  num_envs: 4
agent:
  algorithm: PPO
  hyperparameters:
    learning_rate: 1e-3
    batch_size: 64
train:
  total_steps: 1000
"""


def problems(path: Path, text: str | bytes) -> list[str]:
    """Return the lines of the error that the text gives, without the folder's name."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.exit_code == 2
    return str(caught.value).replace(f"{path}", "FILE").splitlines()


LEARNING_RATE = "    learning_rate: 1e-3\n"
SAC = GOOD.replace("PPO", "SAC").replace(LEARNING_RATE, "    ent_coef: VALUE\n")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("learning_rate:", "learning_rat:",
         "FILE:9: agent.hyperparameters.learning_rat: unknown key. Did you mean 'learning_rate'? "
         "Allowed: learning_rate, n_steps, "),
        ("algorithm: PPO", "algorithm: PPO\n  gamma: 0.9",
         "FILE:8: agent.gamma: unknown key. Did you mean 'hyperparameters.gamma'? Allowed: "),
        ("seed: 0", "total_steps: 5",
         "FILE:2: total_steps: unknown key. Did you mean 'train.total_steps'? Allowed: name, seed"),
        ("algorithm: PPO", "algorithm: PPO\n  her: {}",
         "FILE:8: agent.her: unknown key. Allowed: backend, network, algorithm, hyperparameters."),
        ("seed: 0", "seed: zero", "FILE:2: seed: must be an integer; got 'zero'."),
        ("seed: 0", "seed: '0'", "FILE:2: seed: must be an integer; got '0'."),
        ("seed: 0", "seed: yes", "FILE:2: seed: must be an integer; got true."),
        ("seed: 0", "seed: 1.5", "FILE:2: seed: must be an integer; got 1.5."),
        ("seed: 0", "seed: [1, 2]", "FILE:2: seed: must be an integer; got a list."),
        ("seed: 0", "seed:", "FILE:2: seed: must be an integer; got null."),
        ("seed: 0", "seed: -1", "FILE:2: seed: must be at least 0; got -1."),
        ("total_steps: 1000", "total_steps: -5",
         "FILE:12: train.total_steps: must be greater than 0; got -5."),
        ("name: good", "name: on",
         "FILE:1: name: must be text; got true. Put it in quotes if it is text."),
        ("name: good", "name: ../up",
         "FILE:1: name: must be a name of at most 100 letters, digits, '.', '_' and '-' that "
         "starts with a letter or digit; got '../up'."),
        ("name: good\n", "",
         "FILE:1: name: is missing (Name of the experiment; its runs live in '<store>/<name>/')."),
        ("total_steps: 1000", "device: cpu",
         "FILE:11: train.total_steps: is missing (Control steps in all environments together)."),
        ("total_steps: 1000", "total_steps: 1000\n  device: gpu",
         "FILE:13: train.device: must be 'auto', 'cpu' or 'cuda'; got 'gpu'."),
        ("num_envs: 4", "workers: atuo",
         "FILE:5: env.workers: must be 'auto' or an integer; got 'atuo'. Did you mean 'auto'?"),
        ("num_envs: 4", "workers: -1", "FILE:5: env.workers: must be at least 0; got -1."),
        ("num_envs: 4", "normalize: true", "FILE:5: env.normalize: must be a mapping; got true."),
        ("num_envs: 4", "normalize: {rewards: 1}",
         "FILE:5: env.normalize.rewards: must be true or false; got 1."),
        ("id: roboyard/SimpleRobot-v0", "id: ''",
         "FILE:4: env.id: must be text that is not empty; got ''."),
        ("1e-3", "fast",
         "FILE:9: agent.hyperparameters.learning_rate: must be a number or a schedule such as "
         "{type: linear, start: 0.001}; got 'fast'."),
        ("1e-3", "0", "FILE:9: agent.hyperparameters.learning_rate: must be greater than 0; got 0"),
        ("1e-3", ".inf",
         "FILE:9: agent.hyperparameters.learning_rate: must be a finite number; got Infinity."),
        ("1e-3", "{type: linaer, start: 1}",
         "FILE:9: agent.hyperparameters.learning_rate.type: unknown schedule 'linaer'. Allowed: "
         "constant, linear, cosine, exponential. Did you mean 'linear'?"),
        ("1e-3", "{start: 1}",
         "FILE:9: agent.hyperparameters.learning_rate.type: is missing. Allowed: constant, "
         "linear, cosine, exponential."),
        ("1e-3", "{type: linear}",
         "FILE:9: agent.hyperparameters.learning_rate.start: is missing (Value after warm-up)."),
        ("1e-3", "{type: constant, start: 1, end: 2}",
         "FILE:9: agent.hyperparameters.learning_rate.end: unknown key. "
         "Allowed: start, warmup, type."),
        ("batch_size: 64", "gae_lambda: {type: linear, start: 1}",
         "FILE:10: agent.hyperparameters.gae_lambda: must be a number; got a mapping."),
        ("batch_size: 64", "gamma: 1.5",
         "FILE:10: agent.hyperparameters.gamma: must be at most 1; got 1.5."),
        ("algorithm: PPO", "algorithm: POP",
         "FILE:7: agent.algorithm: unknown algorithm 'POP'. Allowed: A2C, ARS, CrossQ, PPO, "
         "RecurrentPPO, SAC, TD3, TQC, TRPO, or 'module:Class'. Did you mean 'PPO'?"),
        ("algorithm: PPO", "algorithm: 5", "FILE:7: agent.algorithm: must be text; got 5."),
        ("  algorithm: PPO\n", "", "FILE:6: agent.algorithm: is missing ("),
        ("algorithm: PPO", "algorithm: PPO\n  network: {actor: [64, wide]}",
         "FILE:8: agent.network.actor.1: must be an integer; got 'wide'."),
        ("algorithm: PPO", "algorithm: PPO\n  network: {init: ortogonal}",
         "FILE:8: agent.network.init: must be 'auto', 'torch', 'orthogonal', 'xavier_uniform' or "
         "'kaiming_uniform'; got 'ortogonal'. Did you mean 'orthogonal'?"),
        ("seed: 0", "callbacks: [{entry: nothing}]",
         "FILE:2: callbacks.0.entry: must be 'module:Attr'; got 'nothing'."),
        ("seed: 0", "callbacks: {entry: 'a:B'}", "FILE:2: callbacks: must be a list; got a map"),
        ("name: good", "name: good\nname: better",
         "FILE:2: name: the key is given twice (first on line 1)."),
        ("seed: 0", "seed: ${env:RY_UNSET}",
         "FILE:2: seed: environment variable RY_UNSET is not set."),
        ("seed: 0", "store: ${env:HO-ME}", "FILE:2: store: '${env:HO-ME}' is malformed. Write "),
        ("seed: 0", "seed: !!python/object:os.system 1",
         "FILE:2: seed: the YAML tag 'tag:yaml.org,2002:python/object:os.system' is not allowed."),
    ],
)  # fmt: skip
def test_one_mistake_is_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    lines = problems(tmp_path / "c.yaml", GOOD.replace(old, new, 1))
    assert len(lines) == 1
    assert lines[0].startswith(message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("atuo", "must be a number or 'auto' or 'auto_VALUE' such as 'auto_0.1'; got 'atuo'."),
        ("-1", "must be at least 0; got -1."),
        ("[1]", "must be a number or text; got a list."),
    ],
)
def test_a_union_gives_one_line(tmp_path: Path, value: str, message: str) -> None:
    lines = problems(tmp_path / "c.yaml", SAC.replace("VALUE", value))
    assert lines == [f"FILE:9: agent.hyperparameters.ent_coef: {message}"]


@pytest.mark.parametrize("value", ["auto", "auto_0.1", "0", "0.2"])
def test_entropy_coefficients_of_sac_are_accepted(tmp_path: Path, value: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(SAC.replace("VALUE", value))
    assert load(path).agent.algorithm == "SAC"


def test_all_mistakes_are_reported_together(tmp_path: Path) -> None:
    text = GOOD.replace("seed", "sed").replace("num_envs: 4", "num_envs: four").replace("1000", "0")
    lines = problems(tmp_path / "c.yaml", text)
    assert [line.split(" ")[0] for line in lines] == ["FILE:2:", "FILE:5:", "FILE:12:"]


def test_all_mistakes_of_the_text_are_reported_together(tmp_path: Path) -> None:
    text = GOOD + "seed: 1\nstore: ${env:RY_UNSET}\n"
    assert len(problems(tmp_path / "c.yaml", text)) == 2


def test_long_values_are_cut(tmp_path: Path) -> None:
    (line,) = problems(tmp_path / "c.yaml", GOOD.replace("seed: 0", "seed: " + "x" * 500))
    assert line == f"FILE:2: seed: must be an integer; got '{'x' * 57}...'."


# Files.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "FILE: is empty. A config needs name, env, agent and train; "),
        ("# nothing\n", "FILE: is empty."),
        ("- a\n- b\n", "FILE:1: must be a mapping ('key: value' lines) with name, env, a"),
        ("just text", "FILE:1: must be a mapping"),
        ("a: [1, 2\nb: 3\n", "FILE:2:2: YAML syntax error: while parsing a flow sequence "),
        ("a: 1\n\tb: 2\n", "FILE:2:1: YAML syntax error: while scanning for the next token found "),
        ("a: b: c\n", "FILE:1:5: YAML syntax error: mapping values are not allowed here."),
        ("a: 'open\n", "FILE:2:1: YAML syntax error: while scanning a quoted scalar"),
        ("a: 1\n---\nb: 2\n", "FILE:2:1: YAML syntax error: expected a single document"),
        ("a: *nowhere\n", "FILE:1:4: YAML syntax error: found undefined alias 'nowhere'."),
        (b"a: \xff\xfe\n", "FILE:1: not UTF-8 text (byte 0xff). Save it as UTF-8."),
        (b"a: 1\nb: \x07\n", "FILE: the character '\\x07' at position 8 is not allowed in YAML."),
        ("a: &a [*a]\n", "FILE:1: more than 20000 values or 50 levels"),
        ("a: &a {b: *a}\n", "FILE:1: more than 20000 values or 50 levels"),
        ("x: " + "[" * 60 + "]" * 60, "FILE:1: more than 20000 values or 50 levels"),
        ("x: " + "[" * 500 + "]" * 500, "FILE: nested too deeply."),
        ("? [a]\n: 1\n", "FILE:1: a key must be text."),
        ("<<: 3\n", "FILE:1: <<: must be a mapping or a list of mappings."),
        ("seed: " + "9" * 30, "FILE:1: seed: the number does not fit into 64 bits."),
        ("seed: " + "9" * 5000, "FILE:1: seed: "),
        ("seed: 1e999", "FILE:1: seed: the number 1e999 is too large."),
        ('name: "\\ud800"', "FILE:1: name: the text holds half of a surrogate pair."),
        ("x: " + "y" * 1_000_001, "FILE: larger than 1000000 bytes; this is no config."),
        ("extends: {a: 1}\n", "FILE:1: extends: must be a file name or a list of file names."),
    ],
    ids=range(24),
)  # fmt: skip
def test_broken_files_are_explained(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert problems(tmp_path / "c.yaml", text)[0].startswith(message)


def test_alias_bombs_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    (line,) = problems(tmp_path / "bomb.yaml", "\n".join(lines))
    assert "aliases (*name) refer to themselves or multiply" in line


def test_missing_file_suggests_the_neighbour(tmp_path: Path) -> None:
    (tmp_path / "cartpole.yaml").write_text(GOOD)
    path = tmp_path / "cartpol.yaml"
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: no such file. Did you mean 'cartpole.yaml'?"


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"folder '.*nowhere' does not exist either"):
        load(tmp_path / "nowhere" / "a.yaml")


def test_folder_instead_of_a_file_suggests_one_inside(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    with pytest.raises(ConfigError, match=r"is a folder, not a YAML file. Did you mean '.*a.yaml'"):
        load(tmp_path)


def test_impossible_path_is_no_crash() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load("a\0b.yaml")


# Mappings.


def test_mapping_has_no_place_in_its_messages() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"name": "x", "env": {"id": 5}, "agent": {"algorithm": "PPO"}, "train": {}})
    assert str(caught.value).splitlines() == [
        "env.id: must be text; got 5. Put it in quotes if it is text.",
        "train.total_steps: is missing (Control steps in all environments together).",
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"env": {"kwargs": {"x": Path("a")}}}, "env.kwargs.x: a PosixPath cannot stand in a conf"),
        ({"env": {1: 2}}, "env: the key 1 is not text."),
        ({"env": {"kwargs": {"x": {1, 2}}}}, "env.kwargs.x: a set cannot stand in a config."),
    ],
)
def test_values_that_yaml_cannot_hold_are_refused(value: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(value)
    assert str(caught.value).startswith(message)
