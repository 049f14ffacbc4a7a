"""Functions with parameters filled in."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from roboyard.envs.managers.presets import change_preset, preset


def mixed(state: str, first: int, second: int = 2, *, third: int = 3) -> tuple[object, ...]:
    return state, first, second, third


@functools.wraps(mixed)
def wrapped(*args: object, **kwargs: int) -> tuple[object, ...]:
    return mixed(*args, **kwargs)  # type: ignore[arg-type]


def enclosed(offset: int) -> Callable[..., tuple[object, ...]]:
    def inner(state: str, first: int, *, second: int, third: int) -> tuple[object, ...]:
        return state, first + offset, second, third

    return inner


@pytest.mark.parametrize("function", [mixed, wrapped, enclosed(0), functools.partial(mixed)])
def test_parameters_are_filled_in_and_can_change(function: Callable[..., object]) -> None:
    call = preset(function, {"first": 7, "second": 8, "third": 9})
    assert call("state") == ("state", 7, 8, 9)
    change_preset(call, {"first": 7, "second": 5, "third": 4})
    assert call("state") == ("state", 7, 5, 4)


def test_the_function_itself_stays_as_it_was() -> None:
    one, other = (preset(mixed, {"first": n, "second": n, "third": n}) for n in (1, 2))
    assert (one("s"), other("s")) == (("s", 1, 1, 1), ("s", 2, 2, 2))
    assert mixed("s", 0) == ("s", 0, 2, 3)
