"""A library of tasks: one YAML file a task, named as the task is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from roboyard.config.files import extended, read_file
from roboyard.config.tree import Node, from_python, merged
from roboyard.errors import ConfigError
from roboyard.registry import suggest


@dataclasses.dataclass(frozen=True)
class TaskLibrary:
    """The tasks of a folder."""

    folder: Path
    kind: str
    """What they are called in messages."""

    def names(self) -> tuple[str, ...]:
        """Return the names of the tasks; files that others are laid over begin with ``_``."""
        return tuple(sorted(path.stem for path in self.folder.glob("[!_]*.yaml")))

    def read(
        self,
        source: str | Path | Mapping[str, object] | BaseModel,
        overrides: Mapping[str, object] | None,
    ) -> Node:
        """Return what a task is made of, not checked yet.

        Args:
            source: Name in the library, YAML file, mapping or record.
            overrides: Nested mapping that is laid over it.

        Raises:
            ConfigError: There is no such task.
        """
        if isinstance(source, BaseModel):
            source = source.model_dump(mode="json")
        if isinstance(source, Mapping):
            node = extended(from_python(source), Path())
        else:
            node = read_file(self._file(str(source)))
        return merged(node, from_python(overrides or {}))

    def _file(self, name: str) -> Path:
        path, names = Path(name).expanduser(), self.names()
        if path.suffix in (".yaml", ".yml"):
            return path
        if name in names:
            return self.folder / f"{name}.yaml"
        raise ConfigError(
            f"unknown {self.kind} '{name}'.{suggest(name, names)} Give a YAML file of a task, or "
            f"one of the library: {', '.join(names)}."
        )
