"""Whatever is done to a config, it loads or raises ConfigError: nothing else, ever."""

from __future__ import annotations

import copy
import random
from pathlib import Path

import pytest

from roboyard.config.load import load, to_dict, to_yaml
from roboyard.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs"
STARTS = ("cartpole", "cartpole-sac", "pendulum-sac")
# fmt: off
VALUES = [None, True, -1, 0, 2**62, 1.5, 3e5, float("nan"), float("inf"), "", "auto", "PPO",
          "<PPO>", "a:B", [], [1, "x"], {}, {"type": "linear"}, {"type": [1]}, {"algorithm": {}},
          {"": None}, {"algorithm": "SAC", "PPO": 1}, [[{}]], "\u00e9\n"]
# fmt: on


def mutate(node: object, draw: random.Random) -> None:
    """Change one random key or value below ``node``."""
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))  # type: ignore[arg-type,call-overload]
        if not keys:
            return
        key = draw.choice(keys)
        below = node[key]  # type: ignore[index]
        if isinstance(below, dict | list) and below and draw.random() < 0.8:
            node = below
            continue
        action = draw.randrange(3)
        if action == 0 or isinstance(node, list):
            node[key] = copy.deepcopy(draw.choice(VALUES))  # type: ignore[index]
        elif action == 1:
            letters = list(str(key))
            letters[draw.randrange(len(letters)) if letters else 0 :] = draw.choices("abc.<>", k=2)
            node["".join(letters)] = node.pop(key)  # type: ignore[attr-defined,index]
        else:
            del node[key]  # type: ignore[attr-defined]
        return


def outcome(data: object, path: Path | None = None) -> bool:
    """Return whether the config loads; anything but ConfigError propagates."""
    try:
        config = load(path if path else data)  # type: ignore[arg-type]
    except ConfigError as error:
        assert str(error).strip()
        assert "<PPO>:" not in str(error)
        assert "pydantic" not in str(error)
        return False
    assert load(to_dict(config)) == config
    return True


@pytest.mark.parametrize("name", STARTS)
def test_mutated_mappings_load_or_raise_config_errors(name: str) -> None:
    draw = random.Random(name)
    complete = to_dict(load(CONFIGS / f"{name}.yaml"))
    loaded = 0
    for _ in range(200):
        data = copy.deepcopy(complete)
        for _ in range(draw.randint(1, 3)):
            mutate(data, draw)
        loaded += outcome(data)
    assert 0 < loaded < 200


def test_mutated_text_loads_or_raises_config_errors(tmp_path: Path) -> None:
    draw = random.Random(0)
    text = to_yaml(load(CONFIGS / "cartpole.yaml"))
    path = tmp_path / "mutated.yaml"
    for _ in range(100):
        letters = list(text)
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(letters))
            letters[at : at + draw.randint(0, 3)] = draw.choices(
                "{}[]:-#&*!|>'\"%@`,?\t\n \\ $1a", k=2
            )
        path.write_text("".join(letters))
        outcome(None, path)


def test_renamed_keys_name_the_key(tmp_path: Path) -> None:
    draw = random.Random(1)
    complete = to_dict(load(CONFIGS / "cartpole.yaml"))
    for section in ("env", "train", "evaluation", "video", "agent"):
        data = copy.deepcopy(complete)
        part = data[section]
        assert isinstance(part, dict)
        key = draw.choice([k for k in part if k != "algorithm"])
        part[key + "x"] = part.pop(key)
        with pytest.raises(ConfigError) as caught:
            load(data)
        assert f"{section}.{key}x: unknown key. Did you mean '{key}'?" in str(caught.value)
