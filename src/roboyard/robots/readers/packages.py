"""Where the meshes that a description names are: files, ``file://`` and ``package://``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

from roboyard.registry import suggest


class MeshFinder:
    """Finds files by the names that URDF, MJCF and SDF give them.

    ``package://NAME/PATH`` is looked for in the folder given for NAME, in ``ROS_PACKAGE_PATH``,
    in ``share/NAME`` of ``AMENT_PREFIX_PATH``, and in the folders above the description.
    """

    def __init__(
        self, packages: Mapping[str, str] | None = None, last: tuple[Path, ...] = ()
    ) -> None:
        """Take folders of packages by name, and folders to look into last."""
        self._packages = {
            name: Path(folder).expanduser() for name, folder in (packages or {}).items()
        }
        self._last = last

    def find(self, name: str, description: Path) -> Path | None:
        """Return the file that ``name`` means in ``description``, or None."""
        for candidate in self._candidates(name, description):
            if _is_file(candidate):
                return candidate.resolve()
        return None

    def why_missing(self, name: str, description: Path) -> str:
        """Return what to say of a file that was not found, ending with what to do."""
        scheme, rest = _parts(name)
        if scheme in ("package", "model"):
            package = rest.lstrip("/").partition("/")[0]
            return (
                f"does not exist in a folder of package '{package}', nor in a folder above."
                f"{_nearest(rest, description)} Give the package's folder in robot.packages: "
                f"{{{package}: DIR}}, or set ROS_PACKAGE_PATH."
            )
        if scheme not in ("", "file"):
            return f"has the address '{scheme}://', but only files and package:// are read."
        folder = (description.parent / rest).parent
        return f"does not exist.{suggest(Path(rest).name, _names(folder))}"

    def _candidates(self, name: str, description: Path) -> Iterator[Path]:
        scheme, rest = _parts(name)
        if "\0" in rest:
            return
        if scheme in ("package", "model"):
            rest = rest.lstrip("/")
            package, _, path = rest.partition("/")
            yield from (folder / path for folder in self._package_folders(package))
        elif scheme == "file":
            yield Path(rest)
            yield Path(unquote(rest))
            rest = rest.lstrip("/")
        elif scheme:
            return
        for folder in (*description.parents, *self._last):
            yield folder / rest
            if scheme in ("package", "model") and _is_file(folder / "package.xml"):
                # The description's own package, cloned under another name.
                yield folder / rest.partition("/")[2]

    def _package_folders(self, package: str) -> Iterator[Path]:
        if package in self._packages:
            yield self._packages[package]
        for root in _search_path("ROS_PACKAGE_PATH"):
            yield root / package
            if root.name == package:
                yield root
        for root in _search_path("AMENT_PREFIX_PATH"):
            yield root / "share" / package


def _nearest(name: str, description: Path) -> str:
    """Return a hint at a file of a similar name, in the folder that would be the package's."""
    folder = Path(name.lstrip("/")).parent
    found = [n for above in description.parents[:3] for n in _names(above / folder)]
    return suggest(Path(name).name, [*found, *_names(description.parent)])


def _search_path(variable: str) -> list[Path]:
    return [Path(part) for part in os.environ.get(variable, "").split(os.pathsep) if part]


def _parts(name: str) -> tuple[str, str]:
    """Return the scheme, or nothing, and the rest of a name."""
    scheme, mark, rest = name.replace("\\", "/").partition("://")
    return (scheme.lower(), rest) if mark else ("", scheme)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # Names too long for the file system.
        return False


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.glob("*")]
    except (OSError, ValueError):
        return []
