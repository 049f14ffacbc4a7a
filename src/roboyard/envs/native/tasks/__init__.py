"""The library of native tasks: one YAML file a task."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from roboyard.config.native import NativeTask
from roboyard.config.validation import checked
from roboyard.envs.task_library import TaskLibrary
from roboyard.errors import RobotDescriptionError
from roboyard.robots.spec import find_asset

LIBRARY = Path(__file__).parent
_TASKS = TaskLibrary(LIBRARY, "native task")
_GYMNASIUM = "gymnasium:"


def list_native_tasks() -> tuple[str, ...]:
    """Return the names of the library's native tasks."""
    return _TASKS.names()


def load_native_task(
    source: str | Path | Mapping[str, object] | NativeTask,
    overrides: Mapping[str, object] | None = None,
) -> NativeTask:
    """Return a native task.

    Args:
        source: Name in the library, YAML file, mapping or record.
        overrides: Nested mapping that is laid over it.

    Raises:
        ConfigError: There is no such task, or it is wrong.
    """
    return checked(NativeTask, _TASKS.read(source, overrides))


def model_file(name: str) -> Path:
    """Return the MJCF file that a task names.

    Raises:
        RobotDescriptionError: There is none.
    """
    if not name.startswith(_GYMNASIUM):
        return find_asset(name)
    found = importlib.util.find_spec("gymnasium.envs.mujoco")
    folder = Path(found.origin).parent if found and found.origin else Path()
    file = folder / "assets" / name.removeprefix(_GYMNASIUM)
    if not file.is_file():
        raise RobotDescriptionError(f"robot description '{name}' does not exist (looked for "
                                    f"{file}).")  # fmt: skip
    return file
