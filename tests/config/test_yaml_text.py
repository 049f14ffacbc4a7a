"""Scalars are read as a person means them."""

from __future__ import annotations

import pytest

from roboyard.config.yaml_text import dump, parse
from roboyard.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1E5", 100000.0), ("-2.5e+3", -2500.0), (".5", 0.5), ("5.", 5.0),
        ("1_000_000", 1000000), ("010", 10), ("0x1F", 31), ("0o17", 15), ("0b101", 5), ("+3", 3),
        ("-0.0", -0.0), ("yes", True), ("Off", False), ("on", True), ("y", "y"), ("n", "n"),
        ("~", None), ("", None), ("null", None), ("1:30", "1:30"), ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"), ("1.2.3", "1.2.3"), ("'1'", "1"), ("!!str 1", "1"),
        ("!!float 1", 1.0), ("=", "="), ("'<<'", "<<"), ("e5", "e5"), ("1e", "1e"), ("0x", "0x"),
        (".inf", float("inf")), ("-.Inf", float("-inf")), ("1e400000000000", None),
    ],
)  # fmt: skip
def test_scalars(text: str, value: object) -> None:
    if text == "1e400000000000":
        with pytest.raises(ConfigError, match="too large"):
            parse(text, "f")
        return
    assert repr(parse(text, "f").plain()) == repr(value)


def test_keys_are_text_whatever_they_look_like() -> None:
    assert parse("{on: 1, 1: 2, null: 3, 1e-3: 4}", "f").plain() == {
        "on": 1, "1": 2, "null": 3, "1e-3": 4,
    }  # fmt: skip


def test_merge_keys_give_way_to_own_keys() -> None:
    text = "base: &b {x: 1, y: 2}\nother: &o {x: 5, z: 6}\nuse: {x: 9, <<: [*b, *o]}\n"
    assert parse(text, "f").plain()["use"] == {"x": 9, "y": 2, "z": 6}  # type: ignore[index,call-overload]


def test_places_are_lines_of_keys_and_items() -> None:
    node = parse("a:\n  b:\n    - 1\n    - c: 2\n", "f.yaml")
    assert str(node.place_of(("a", "b"))) == "f.yaml:2: "
    assert str(node.place_of(("a", "b", 1, "c"))) == "f.yaml:4: "
    assert str(node.place_of(("a", "b", 7, "nowhere"))) == "f.yaml:2: "


def test_dump_writes_what_parse_reads() -> None:
    value = {"a": [1, 1.0, 1e-05, True, None, "1e-05", "yes", "0o7", "${env:A}"], "b": {"c": []}}
    assert repr(parse(dump(value), "f").plain()) == repr(value)
