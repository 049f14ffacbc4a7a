"""The task library: one YAML file a task, named as the task is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from roboyard.config.files import extended, read_file
from roboyard.config.task_files import standalone_task
from roboyard.config.tasks import TaskConfig
from roboyard.config.tree import Node, from_python, merged
from roboyard.config.validation import checked
from roboyard.errors import ConfigError
from roboyard.registry import suggest

LIBRARY = Path(__file__).parent


def list_tasks() -> tuple[str, ...]:
    """Return the names of the library's tasks."""
    return tuple(sorted(path.stem for path in LIBRARY.glob("[!_]*.yaml")))


def load_task(
    source: str | Path | Mapping[str, object] | TaskConfig,
    overrides: Mapping[str, object] | None = None,
) -> TaskConfig:
    """Return a task.

    Args:
        source: Name in the library, YAML file, mapping or record.
        overrides: Nested mapping that is laid over it, such as
            ``{"rewards": {"alive": {"weight": 2}}}``.

    Raises:
        ConfigError: There is no such task, or it is wrong; the message names file and line.
    """
    if isinstance(source, TaskConfig):
        source = source.model_dump(mode="json")
    node: Node
    if isinstance(source, Mapping):
        node = extended(from_python(source), Path())
    else:
        node = read_file(_task_file(str(source)))
    node = merged(node, from_python(overrides or {}))
    return checked(TaskConfig, standalone_task(node))


def _task_file(name: str) -> Path:
    path = Path(name).expanduser()
    if path.suffix in (".yaml", ".yml"):
        return path
    if name in list_tasks():
        return LIBRARY / f"{name}.yaml"
    raise ConfigError(
        f"unknown task '{name}'.{suggest(name, list_tasks())} Give a YAML file of a task, or one "
        f"of the library: {', '.join(list_tasks())}."
    )
