"""The JSON schema of a config file, for editors that complete and check YAML."""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue

from roboyard.config.agents import BUILTIN_AGENTS
from roboyard.config.descriptions import DescribedSchema
from roboyard.config.schema import ExperimentConfig

_INTERPOLATED = {"type": "string", "pattern": r"\$\{env:"}
_EXTENDS = {
    "title": "Extends",
    "description": "File, or list of files, that this one is laid over; relative to this file.",
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
}


def json_schema() -> dict[str, JsonValue]:
    """Return the JSON schema of a config file.

    It differs from the records in what only a file has: ``extends`` (a file that extends another
    need not repeat the required keys) and environment variables in the place of any value.
    """
    schema: dict[str, Any] = ExperimentConfig.model_json_schema(schema_generator=DescribedSchema)
    records: dict[str, Any] = schema["$defs"]
    # The records of built-in algorithms check their own; the open one is for the others.
    custom = records["CustomAgent"]["properties"]["algorithm"]
    custom["not"] = {"enum": list(BUILTIN_AGENTS)}
    records["EnvConfig"]["properties"]["task"]["anyOf"].append({"type": "string"})  # a file
    required = {
        "env": records["EnvConfig"].pop("required", []),
        "train": records["TrainConfig"].pop("required"),
        "agent": ["algorithm"],
    }
    for agent in [*(cls.__name__ for cls in BUILTIN_AGENTS.values()), "CustomAgent"]:
        records[agent].pop("required")
    for record in [schema, *records.values()]:
        for name, field in record.get("properties", {}).items():
            record["properties"][name] = _relaxed(field)
    schema["properties"] = {"extends": _EXTENDS, **schema["properties"]}
    schema["if"] = {"not": {"required": ["extends"]}}
    schema["then"] = {
        "required": schema.pop("required"),
        "properties": {name: {"required": keys} for name, keys in required.items()},
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _relaxed(field: dict[str, Any]) -> dict[str, Any]:
    """Return a field's schema that also accepts ``${env:NAME}`` where it is no text."""
    members = field.pop("oneOf", None) or field.pop("anyOf", None)
    if members is not None:
        return {**field, "anyOf": [*members, _INTERPOLATED]}
    if field.get("type") not in ("integer", "number", "boolean"):
        return field
    about: dict[str, Any] = {
        key: field.pop(key) for key in ("title", "description", "default") if key in field
    }
    return {**about, "anyOf": [field, _INTERPOLATED]}
