"""The library of native tasks: one YAML file a task."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from roboyard.config.files import extended, read_file
from roboyard.config.native import NativeTask
from roboyard.config.tree import from_python, merged
from roboyard.config.validation import checked
from roboyard.errors import ConfigError, RobotDescriptionError
from roboyard.registry import suggest
from roboyard.robots.spec import find_asset

LIBRARY = Path(__file__).parent
_GYMNASIUM = "gymnasium:"


def list_native_tasks() -> tuple[str, ...]:
    """Return the names of the library's native tasks."""
    return tuple(sorted(path.stem for path in LIBRARY.glob("*.yaml")))


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
    if isinstance(source, NativeTask):
        source = source.model_dump(mode="json")
    if isinstance(source, Mapping):
        node = extended(from_python(source), Path())
    else:
        node = read_file(_file(str(source)))
    return checked(NativeTask, merged(node, from_python(overrides or {})))


def _file(name: str) -> Path:
    if name in list_native_tasks():
        return LIBRARY / f"{name}.yaml"
    if Path(name).suffix in (".yaml", ".yml"):
        return Path(name)
    known = list_native_tasks()
    raise ConfigError(
        f"unknown native task '{name}'.{suggest(name, known)} Give a YAML file, or one of: "
        f"{', '.join(known)}."
    )


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
