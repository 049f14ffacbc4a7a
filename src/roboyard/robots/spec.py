"""Robot specs: from the catalogue, a YAML file or a mapping."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from roboyard.config.records import read_record
from roboyard.config.robots import RobotSpec
from roboyard.errors import RobotDescriptionError
from roboyard.registry import suggest
from roboyard.sim import data_path

CATALOG = Path(__file__).parent / "catalog"


def list_robots() -> tuple[str, ...]:
    """Return the names of the catalogue's robots."""
    return tuple(sorted(path.stem for path in CATALOG.glob("*.yaml")))


def load_robot(
    source: str | Path | Mapping[str, object] | RobotSpec, folder: Path | None = None
) -> RobotSpec:
    """Return a robot's spec; the file it names is resolved to a full path or a prefixed one.

    Args:
        source: Name in the catalogue, YAML file, mapping or spec.
        folder: Where relative paths in it start; by default the working folder, or the YAML
            file's own.

    Raises:
        ConfigError: The YAML is wrong.
        RobotDescriptionError: There is no such robot, or the file it names does not exist.
    """
    folder = folder or Path()
    if isinstance(source, str | Path):
        path = _spec_file(source, folder)
        spec, folder = read_record(RobotSpec, path), path.parent
    elif isinstance(source, RobotSpec):
        spec = source
    else:
        spec = read_record(RobotSpec, source)
    if spec.file.partition(":")[0] in _PREFIXES:
        find_asset(spec.file)
        return spec
    return spec.model_copy(update={"file": str(find_asset(spec.file, folder))})


def _spec_file(source: str | Path, folder: Path) -> Path:
    name = str(source)
    if name in list_robots():
        return CATALOG / f"{name}.yaml"
    path = folder / Path(name).expanduser()
    if path.suffix in (".yaml", ".yml"):
        return path
    raise RobotDescriptionError(
        f"unknown robot '{name}'. Give a YAML file of a robot spec, or one of the catalogue: "
        f"{', '.join(list_robots())}.{suggest(name, list_robots())}"
    )


def find_asset(file: str, folder: Path | None = None) -> Path:
    """Return the full path of a robot description.

    Args:
        file: Path, ``pybullet_data:PATH`` or ``package:MODULE/PATH``.
        folder: Where a relative path starts; by default the working folder.

    Raises:
        RobotDescriptionError: There is no such file or package.
    """
    prefix, _, rest = file.partition(":")
    path = (
        _PREFIXES[prefix](rest)
        if prefix in _PREFIXES
        else (folder or Path()) / Path(file).expanduser()
    )
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
