"""Config files: reading them, and laying them over the files they extend."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from roboyard.config.tree import Node, Place, merged
from roboyard.config.yaml_text import parse
from roboyard.errors import ConfigError
from roboyard.registry import suggest

MAX_BYTES = 1_000_000
MAX_FILES = 50
EXTENDS = "extends"
SUFFIXES = (".yaml", ".yml")


def read_text(path: Path) -> str:
    """Return the text of a config file.

    Raises:
        ConfigError: It does not exist, is not a readable UTF-8 text file, or is too large.
    """
    try:
        data = _read_regular(path)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file.{_neighbour(path)}") from error
    except IsADirectoryError as error:
        raise ConfigError(f"{path}: is a folder, not a YAML file.{_inside(path)}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: cannot be read ({reason}).") from error
    if data is None:
        raise ConfigError(f"{path}: is a pipe or a device, not a file.")
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes; this is no config.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path}:{line}: not UTF-8 text (byte 0x{data[error.start]:02x}). Save it as UTF-8."
        ) from error


def _read_regular(path: Path) -> bytes | None:
    """Return the beginning of a file; None for what could keep the reader waiting."""
    with open(path, "rb", opener=_without_waiting) as file:
        is_regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        return file.read(MAX_BYTES + 1) if is_regular else None


def _without_waiting(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NONBLOCK)


def _neighbour(path: Path) -> str:
    try:
        names = [p.name for p in path.parent.iterdir() if p.suffix in (".yaml", ".yml")]
    except OSError:
        return f" The folder '{path.parent}' does not exist either."
    return suggest(path.name, names) or " 'roboyard init FILE' writes a starter config."


def _inside(path: Path) -> str:
    try:
        files = sorted(p for p in path.iterdir() if p.suffix in (".yaml", ".yml"))
    except OSError:
        return ""
    return f" Did you mean '{files[0]}'?" if files else ""


def read_file(path: Path) -> Node:
    """Return the mapping in a config file, with everything it extends.

    Raises:
        ConfigError: It, or a file it extends, cannot be read or is not a YAML mapping.
    """
    return _Files().read(path, ())


def extended(root: Node, folder: Path) -> Node:
    """Return ``root`` laid over the files that its ``extends`` names, relative to ``folder``.

    Raises:
        ConfigError: One of them cannot be read, or they extend each other in a circle.
    """
    return _Files().extend(root, folder, ())


class _Files:
    """One walk through a file and the files it extends."""

    def __init__(self) -> None:
        self._count = 0

    def read(self, path: Path, above: tuple[Path, ...]) -> Node:
        """Return the mapping in ``path``; ``above`` are the files that led here."""
        self._count += 1
        if self._count > MAX_FILES:
            raise ConfigError(f"{path}: more than {MAX_FILES} files extend each other.")
        root = parse(read_text(path), str(path))
        if root.value is None:
            raise ConfigError(
                f"{path}: is empty. A config needs name, env, agent and train; "
                "'roboyard init FILE' writes a starter."
            )
        if not isinstance(root.value, dict):
            raise ConfigError(
                f"{root.place}must be a mapping ('key: value' lines) with name, env, agent, train."
            )
        return self.extend(root, path.parent, (*above, path.resolve()))

    def extend(self, root: Node, folder: Path, above: tuple[Path, ...]) -> Node:
        """Return ``root`` laid over the files that it extends."""
        if not isinstance(root.value, dict) or EXTENDS not in root.value:
            return root
        base = Node({}, Place())
        for name, place in _names(root.value[EXTENDS]):
            path = folder / Path(name).expanduser()
            _check_is_yaml(path, place)
            if path.resolve() in above:
                chain = " -> ".join(p.name for p in (*above, path.resolve()))
                raise ConfigError(f"{place}extends: files extend each other in a circle: {chain}.")
            try:
                base = merged(base, self.read(path, above))
            except ConfigError as error:
                if str(error).startswith(f"{path}: no such file"):
                    raise ConfigError(f"{place}extends: {error}") from error
                raise
        own = {key: node for key, node in root.value.items() if key != EXTENDS}
        return merged(base, Node(own, root.place))


def _check_is_yaml(path: Path, place: Place) -> None:
    """Refuse other files by their names: what is wrong in them would be quoted in messages."""
    if path.suffix not in SUFFIXES or path.resolve().suffix not in SUFFIXES:
        raise ConfigError(
            f"{place}extends: '{path}' is not a YAML file. Allowed: names that end in "
            f"{' or '.join(SUFFIXES)}, and links to such files."
        )


def _names(node: Node) -> list[tuple[str, Place]]:
    items = node.value if isinstance(node.value, list) else [node]
    names: list[tuple[str, Place]] = []
    for item in items:
        if not isinstance(item.value, str) or not item.value:
            raise ConfigError(f"{node.place}extends: must be a file name or a list of file names.")
        names.append((item.value, item.place))
    return names
