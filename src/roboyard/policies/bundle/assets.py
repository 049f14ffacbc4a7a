"""Files of a user's own robots and objects, which travel in the bundle.

The config of a run names them by their paths on the machine that trained. So that a bundle can be
evaluated elsewhere, it holds the descriptions, and the meshes and textures that they name, as
parts. They are unpacked, for as long as the process lives, only where the paths lead nowhere or
to something else.
"""

from __future__ import annotations

import logging
import posixpath
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

from pydantic import JsonValue

from roboyard.config.interpolation import is_interpolated
from roboyard.config.load import as_written, to_dict
from roboyard.config.references import resolved
from roboyard.config.schema import EnvConfig, ExperimentConfig
from roboyard.config.task_files import PREFIXES
from roboyard.config.trust import findings, refuse
from roboyard.config.yaml_text import filled_in
from roboyard.errors import PolicyError

if TYPE_CHECKING:
    from roboyard.policies.bundle.policy_bundle import PolicyBundle

PATH = r"[A-Za-z0-9_-][A-Za-z0-9._ -]*(/[A-Za-z0-9_-][A-Za-z0-9._ -]*){0,15}"
"""What the path of a file within a bundle may be: relative, and never upwards."""
MAX_BYTES = 256 * 1024**2
"""Most bytes of such files in one bundle."""

_DEPTH = "up/up/up"  # Folders around a description, so that it can name ``../meshes/arm.stl``.
_REFERENCES = {
    ".obj": re.compile(rb"^mtllib\s+(.+?)\s*$", re.MULTILINE),
    ".mtl": re.compile(rb"^\s*map_\w+\s+(?:.*\s)?(\S+)\s*$", re.MULTILINE),
}
_XML = (".urdf", ".xml", ".mjcf", ".sdf", ".dae")
_MESHES = (".obj", ".stl", ".dae", ".msh", ".ply", ".skn", ".mtl")
_TEXTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tga", ".hdr", ".ktx")
_KINDS = frozenset((*_XML, *_MESHES, *_TEXTURES))
"""Kinds of files that travel in a bundle."""
_NAMING = frozenset({"mesh", "texture", "hfield", "skin", "flexcomp", "include", "model"})
"""Elements whose ``filename`` or ``file`` is a part of what a robot looks like; a plugin is not."""
_LEVELS = _DEPTH.count("/") + 1
"""How far above a description its parts may be."""
_LOG = logging.getLogger(__name__)
_UNPACKED: list[tempfile.TemporaryDirectory[str]] = []


class Collected(NamedTuple):
    """Files that a config names."""

    contents: dict[str, bytes]
    """By their path in the bundle."""
    named: dict[str, str]
    """From a name in the config, as it is written, to a path in the bundle."""


def collect(config: ExperimentConfig) -> Collected:
    """Return the files that a config's task names by their paths, and what these name."""
    found = Collected({}, {})
    names = zip(
        _files_of(to_dict(config)["env"]), _files_of(as_written(config)["env"]), strict=True
    )
    for index, (name, written) in enumerate(sorted(set(names))):
        file = Path(name).expanduser()
        is_own = name.partition(":")[0] not in PREFIXES and file.is_file()
        if not (is_own and _is_part(file, file.resolve().parent)):
            continue
        folder = f"{index}/{_DEPTH}"
        found.named[written] = f"{folder}/{file.name}"
        _add(found.contents, file, folder, _place_of(file))
    size = sum(map(len, found.contents.values()))
    odd = [path for path in found.contents if not re.fullmatch(PATH, path)]
    if size > MAX_BYTES or odd:
        reason = f"the name of '{odd[0]}'" if odd else f"their {size:,} bytes"
        _LOG.warning("the robot's files stay out of the bundle because of %s.", reason)
        return Collected({}, {})
    return found


def relocated_env(bundle: PolicyBundle, *, trusted: bool) -> EnvConfig:
    """Return the bundle's environment, whose files are those of the bundle.

    Args:
        bundle: The bundle.
        trusted: Whether the engine may read descriptions and meshes out of it.

    Raises:
        PolicyError: Files are needed and the bundle is not trusted, or its config names code or
            files that it does not bring.
        ConfigError: An environment variable that it refers to is not set.
    """
    named = bundle.manifest.asset_files
    if not trusted:
        refuse(bundle.source, findings(bundle.config, files=named))
    if all(_is_here(name, bundle.assets[path]) for name, path in named.items()):
        return resolved(bundle.config.env, "env")
    if not trusted:
        raise PolicyError(
            f"'{bundle.source}' brings '{Path(next(iter(named))).name}', and the engine's readers "
            "of robots and meshes are not made for strangers' files. If you trust where it comes "
            "from, pass trust_code=True (--trust-code)."
        )
    root = _unpacked(bundle)
    places = {name: str(root / path) for name, path in named.items()}
    value = bundle.config.env.model_dump(mode="json")
    here = EnvConfig.model_validate({**value, "task": _replaced(value.get("task"), places)})
    return resolved(here, "env")


def _unpacked(bundle: PolicyBundle) -> Path:
    root = tempfile.TemporaryDirectory(prefix="roboyard-robot-")
    _UNPACKED.append(root)  # Until the process ends.
    try:
        for path, content in bundle.assets.items():
            file = Path(root.name) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    except OSError as error:
        reason = error.strerror or error
        raise PolicyError(f"'{bundle.source}': its robot cannot be unpacked: {reason}.") from error
    return Path(root.name)


def _is_here(name: str, content: bytes) -> bool:
    try:
        file = Path(str(filled_in(name)) if is_interpolated(name) else name).expanduser()
    except ValueError:  # a variable that is not set here
        return False
    return file.is_file() and file.read_bytes() == content


def _files_of(value: JsonValue) -> Iterator[str]:
    """Yield every text under a key ``file``, in the order in which it stands there."""
    if isinstance(value, list):
        for part in value:
            yield from _files_of(part)
    elif isinstance(value, dict):
        for key, part in value.items():
            if key == "file" and isinstance(part, str):
                yield part
            else:
                yield from _files_of(part)


def _replaced(value: JsonValue, places: Mapping[str, str]) -> JsonValue:
    if isinstance(value, list):
        return [_replaced(part, places) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        key: places.get(part, part)
        if key == "file" and isinstance(part, str)
        else _replaced(part, places)
        for key, part in value.items()
    }


def _place_of(description: Path) -> Path:
    """Return the folder in which the parts of a description may be."""
    above = description.absolute().parents
    return above[min(_LEVELS, max(0, len(above) - 2))]


def _is_part(file: Path, place: Path) -> bool:
    """Return whether a file is of a kind that robots have, in a place where it may be."""
    target = file.resolve()
    kinds = {file.suffix.lower(), target.suffix.lower()}
    return kinds <= _KINDS and target.is_relative_to(place.resolve())


def _add(contents: dict[str, bytes], file: Path, folder: str, place: Path) -> None:
    """Add a file, and what it names, under a folder of the bundle."""
    content = file.read_bytes()
    contents[f"{folder}/{file.name}"] = content
    for name in _references(file, content):
        plain = name.partition("://")[2] or name
        found = next((above / plain for above in file.parents if (above / plain).is_file()), None)
        path = posixpath.normpath(posixpath.join(folder, plain))
        if found is None or path in contents:
            continue
        if _is_part(found, place):
            _add(contents, found, posixpath.dirname(path), place)
        else:
            _LOG.warning("'%s' names '%s', which stays out of the bundle.", file, name)


def _references(file: Path, content: bytes) -> Iterator[str]:
    """Yield the names of files that stand in a description, a mesh or a material."""
    suffix = file.suffix.lower()
    if suffix in _REFERENCES:
        yield from (
            name.decode("utf-8", "replace") for name in _REFERENCES[suffix].findall(content)
        )
    if suffix not in _XML:
        return
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError:
        return
    folders = {
        "",
        *(c.get(k, "") for c in root.iter("compiler") for k in ("meshdir", "texturedir")),
    }
    for element in root.iter():
        if element.tag.rpartition("}")[2].lower() not in _NAMING:
            continue
        for key in ("filename", "file"):
            if name := element.get(key):
                yield from (posixpath.join(folder, name) for folder in sorted(folders))
