"""Spaces survive JSON exactly; wrong descriptions are refused."""

import json

import numpy as np
import pytest
from gymnasium import spaces

from roboyard.errors import PolicyError
from roboyard.policies.spaces import space_from_json, space_to_json
from roboyard.testing.fake_envs import FORCE, GOAL, IMAGE, MIXED, VECTOR

ODD = spaces.Box(
    np.array([[-np.inf, 0.1], [-1e-30, -5.0]]),
    np.array([[np.pi, np.inf], [1e30, -4.9]]),
    dtype=np.float64,
)
SPACES = [
    VECTOR,
    FORCE,
    IMAGE,
    MIXED,
    GOAL,
    ODD,
    spaces.Box(-1, 1, (), np.float32),
    spaces.Box(-128, 127, (2,), np.int8),
    spaces.Discrete(5, start=-2),
    spaces.MultiDiscrete([2, 3], start=[1, -1]),
    spaces.MultiDiscrete(np.array([[2, 3], [4, 5]])),
    spaces.MultiBinary(4),
    spaces.MultiBinary((2, 3)),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_a_space_survives_exactly(space):
    text = json.dumps(space_to_json(space), allow_nan=False)
    copy = space_from_json(json.loads(text))
    assert copy == space
    assert copy.dtype == space.dtype


def test_the_order_of_keys_survives():
    space = spaces.Dict([("z", VECTOR), ("a", FORCE)])
    assert list(space_from_json(space_to_json(space)).spaces) == ["z", "a"]


def test_equal_bounds_are_written_once():
    assert space_to_json(IMAGE)["high"] == 255


def test_a_tuple_is_refused():
    with pytest.raises(PolicyError, match=r"cannot hold the space Tuple.*Allowed: Box"):
        space_to_json(spaces.Tuple((VECTOR,)))


BOX = space_to_json(FORCE)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"type": "graph"},
        {"type": ["box"]},
        {"type": "box"},
        BOX | {"shape": [10**9, 10**9]},
        BOX | {"shape": [-2]},
        BOX | {"shape": [True]},
        BOX | {"shape": "2"},
        BOX | {"dtype": "object"},
        BOX | {"dtype": "O"},
        BOX | {"low": [0.0]},
        BOX | {"low": "nan"},
        BOX | {"low": ["os", None]},
        BOX | {"low": 1e300, "high": -1e300},
        {"type": "discrete", "n": 0, "start": 0},
        {"type": "discrete", "n": 10**12, "start": 0},
        {"type": "discrete", "n": 2, "start": "0"},
        {"type": "multi_discrete", "nvec": [2**40], "start": [0], "dtype": "int64"},
        {"type": "multi_discrete", "nvec": [], "start": [], "dtype": "int64"},
        {"type": "multi_discrete", "nvec": ["x"], "start": [0], "dtype": "int64"},
        {"type": "multi_binary", "shape": [0]},
        {"type": "dict", "entries": []},
        {"type": "dict", "entries": [["a", BOX], ["a", BOX]]},
        {"type": "dict", "entries": [["a", {"type": "dict", "entries": [["b", BOX]]}]]},
        {"type": "dict", "entries": ["ab"]},
        {"type": "dict", "entries": [[1, BOX]]},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*precision lowered")
def test_a_wrong_description_is_refused_in_one_line(value):
    with pytest.raises(PolicyError, match="description of a space is wrong") as caught:
        space_from_json(value)
    assert "\n" not in str(caught.value)
