"""What each key of a config means: the string below its field in the code.

Pydantic would read these strings at every import, which takes longer than the rest of a start.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import ModelSchema


@functools.cache
def descriptions(record: type[BaseModel]) -> dict[str, str]:
    """Return what each field of a record means, inherited fields included."""
    found: dict[str, str] = {}
    for cls in reversed(record.__mro__):
        own = _documented(cls.__module__).get(cls.__name__, {}) if cls is not BaseModel else {}
        found.update({name: text for name, text in own.items() if name in record.model_fields})
    given = {name: field.description for name, field in record.model_fields.items()}
    return {**found, **{name: text for name, text in given.items() if text}}


class DescribedSchema(GenerateJsonSchema):
    """A JSON schema with the fields' descriptions."""

    def model_schema(self, schema: ModelSchema) -> JsonSchemaValue:
        """Return a record's schema."""
        found = super().model_schema(schema)
        record: type[BaseModel] = schema["cls"]
        for name, text in descriptions(record).items():
            if name in found.get("properties", {}):
                found["properties"][name].setdefault("description", text)
        return found


@functools.cache
def _documented(module: str) -> dict[str, dict[str, str]]:
    """Return the documented fields of every class of a module."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file or not file.endswith(".py"):
        return {}
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return {node.name: dict(_fields(node)) for node in classes}


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            yield field.target.id, inspect.cleandoc(below.value.value)
