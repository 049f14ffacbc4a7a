"""The JSON schema serves editors: described, closed, and fit for files that extend others."""

from __future__ import annotations

import json
from typing import Any

from roboyard.config.agents import BUILTIN_AGENTS
from roboyard.config.load import json_schema


def fields(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    records = {"": schema, **schema["$defs"]}
    return [
        (f"{record}.{name}", field)
        for record, body in records.items()
        for name, field in body.get("properties", {}).items()
    ]


def test_schema_is_json_and_closed() -> None:
    schema = json.loads(json.dumps(json_schema()))
    records = {k: v for k, v in schema["$defs"].items() if "properties" in v}
    assert schema["additionalProperties"] is False
    assert all(body["additionalProperties"] is False for body in records.values())


def test_every_field_is_described() -> None:
    schema: dict[str, Any] = json_schema()

    def is_described(field: dict[str, Any]) -> bool:
        # A field with the same description as its record leaves it to the record.
        record = schema["$defs"].get(field.get("$ref", "").removeprefix("#/$defs/"), {})
        return bool(field.get("description") or record.get("description"))

    assert [name for name, field in fields(schema) if not is_described(field)] == []


def test_references_resolve() -> None:
    schema: dict[str, Any] = json_schema()
    text = json.dumps(schema)
    names = {part.split('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert names <= set(schema["$defs"])


def test_files_that_extend_others_need_no_required_keys() -> None:
    schema: dict[str, Any] = json_schema()
    assert "required" not in schema
    assert schema["if"] == {"not": {"required": ["extends"]}}
    assert schema["then"]["required"] == ["name", "env", "agent", "train"]
    assert schema["then"]["properties"]["train"] == {"required": ["total_steps"]}


def test_typos_under_builtin_algorithms_are_not_taken_for_custom_ones() -> None:
    custom = json_schema()["$defs"]["CustomAgent"]["properties"]["algorithm"]  # type: ignore[index,call-overload]
    assert custom["not"] == {"enum": list(BUILTIN_AGENTS)}  # type: ignore[index,call-overload]


def test_numbers_may_be_environment_variables() -> None:
    seed = json_schema()["properties"]["seed"]  # type: ignore[index,call-overload]
    assert {"type": "string", "pattern": r"\$\{env:"} in seed["anyOf"]  # type: ignore[index,call-overload]


def test_calls_do_not_share_state() -> None:
    first = json_schema()
    first.clear()
    assert json_schema()["$defs"]
