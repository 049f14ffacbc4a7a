"""The task library: one YAML file a task, named as the task is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from roboyard.config.task_files import standalone_task
from roboyard.config.tasks import TaskConfig
from roboyard.config.validation import checked
from roboyard.envs.task_library import TaskLibrary

LIBRARY = Path(__file__).parent
_TASKS = TaskLibrary(LIBRARY, "task")


def list_tasks() -> tuple[str, ...]:
    """Return the names of the library's tasks."""
    return _TASKS.names()


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
    return checked(TaskConfig, standalone_task(_TASKS.read(source, overrides)))
