"""Robot specs: from the catalogue, a YAML file or a mapping."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from roboyard.config.files import read_file
from roboyard.config.robots import RobotSpec
from roboyard.config.task_files import standalone_robot
from roboyard.config.tree import from_python
from roboyard.config.validation import checked
from roboyard.errors import RobotDescriptionError
from roboyard.registry import suggest
from roboyard.sim import data_path

CATALOG = Path(__file__).parent / "catalog"


def list_robots() -> tuple[str, ...]:
    """Return the names of the catalogue's robots."""
    return tuple(sorted(path.stem for path in CATALOG.glob("*.yaml")))


def load_robot(source: str | Path | Mapping[str, object] | RobotSpec) -> RobotSpec:
    """Return a robot's spec.

    Args:
        source: Name in the catalogue, YAML file, mapping or spec.

    Raises:
        ConfigError: The YAML is wrong.
        RobotDescriptionError: There is no such robot, or the file it names does not exist.
    """
    if isinstance(source, RobotSpec):
        spec = source
    else:
        is_mapping = isinstance(source, Mapping)
        node = from_python(source) if is_mapping else read_file(_spec_file(str(source)))
        spec = checked(RobotSpec, standalone_robot(node))
    find_asset(spec.file)
    return spec


def _spec_file(name: str) -> Path:
    if name in list_robots():
        return CATALOG / f"{name}.yaml"
    path = Path(name).expanduser()
    if path.suffix in (".yaml", ".yml"):
        return path
    raise RobotDescriptionError(
        f"unknown robot '{name}'.{suggest(name, list_robots())} Give a YAML file of a robot spec, "
        f"or one of the catalogue: {', '.join(list_robots())}."
    )


def find_asset(file: str) -> Path:
    """Return the full path of a robot description.

    Args:
        file: Path, ``pybullet_data:PATH`` or ``package:MODULE/PATH``.

    Raises:
        RobotDescriptionError: There is no such file or package.
    """
    prefix, _, rest = file.partition(":")
    path = _PREFIXES[prefix](rest) if prefix in _PREFIXES else Path(file).expanduser()
    if path.is_file():
        return path.resolve()
    hint = suggest(path.name, [p.name for p in path.parent.glob("*")])
    raise RobotDescriptionError(
        f"robot description '{file}' does not exist (looked for {path}).{hint}"
    )


def _in_package(rest: str) -> Path:
    module, _, path = rest.partition("/")
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        found = None
    if found is None or not found.submodule_search_locations:
        raise RobotDescriptionError(
            f"robot description 'package:{rest}': there is no Python package '{module}'; "
            "install it, or put its folder on PYTHONPATH."
        )
    return Path(found.submodule_search_locations[0]) / path


def _in_engine_data(rest: str) -> Path:
    return data_path() / rest


_PREFIXES = {"package": _in_package, "pybullet_data": _in_engine_data}
