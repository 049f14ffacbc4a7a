"""Files that a task names: read in, or given full paths, so that the task stands alone."""

from __future__ import annotations

from pathlib import Path

from roboyard.config.files import extended, read_file
from roboyard.config.tree import Node
from roboyard.errors import ConfigError

PREFIXES = ("package", "pybullet_data")
"""What the name of a robot description may begin with, before a colon."""


def standalone_task(node: Node) -> Node:
    """Return a task in which a robot's YAML file is read in and all other paths are full.

    Raises:
        ConfigError: A file cannot be read.
    """
    if not isinstance(node.value, dict):
        return node
    entries = dict(node.value)
    if "robot" in entries:
        entries["robot"] = standalone_robot(entries["robot"])
    things = entries.get("objects")
    if things is not None and isinstance(things.value, dict):
        full = {name: _with_full_path(thing) for name, thing in things.value.items()}
        entries["objects"] = Node(full, things.place)
    return Node(entries, node.place)


def standalone_robot(node: Node) -> Node:
    """Return a robot in which the YAML file is read in and its description's path is full.

    Names of the catalogue stay as they are.

    Raises:
        ConfigError: A file cannot be read.
    """
    # A file laid over the task may have changed the mapping around `extends`, not `extends` itself.
    base = node.child("extends") or node
    node = read_file(_path(node)) if _is_yaml(node) else extended(node, _folder(base))
    return _with_full_path(node)


def _with_full_path(node: Node) -> Node:
    """Return a mapping in which the path of ``file`` is full, if it has one."""
    file = node.child("file")
    if file is None or not isinstance(node.value, dict) or not isinstance(file.value, str):
        return node
    if file.value.partition(":")[0] in PREFIXES:
        return node
    return Node({**node.value, "file": Node(str(_path(file)), file.place)}, node.place)


def with_task(root: Node) -> Node:
    """Return an experiment in which ``env.task`` is the task itself, not the file it is in.

    Raises:
        ConfigError: A file cannot be read, or ``env.task`` is text that names none.
    """
    env = root.child("env")
    task = env.child("task") if env else None
    if env is None or task is None or not isinstance(env.value, dict):
        return root
    if isinstance(task.value, str):
        if not _is_yaml(task):
            raise ConfigError(
                f"{task.place}env.task: must be a mapping or a YAML file; got '{task.value}'. "
                "A task of the library is named by env.id."
            )
        task = read_file(_path(task))
    else:
        task = extended(task, _folder(task))
    entries = {**env.value, "task": standalone_task(task)}
    assert isinstance(root.value, dict)
    return Node({**root.value, "env": Node(entries, env.place)}, root.place)


def _is_yaml(node: Node) -> bool:
    return isinstance(node.value, str) and node.value.endswith((".yaml", ".yml"))


def _folder(node: Node) -> Path:
    """Return the folder of the file that a value was written in, or the working folder."""
    source = Path(node.place.source)
    return source.parent if source.suffix in (".yaml", ".yml") else Path()


def _path(node: Node) -> Path:
    return (_folder(node) / Path(str(node.value)).expanduser()).absolute()
