"""YAML text to nodes and back.

Scalars follow YAML 1.2 where 1.1 surprises: ``1e-3`` is a number, ``010`` is ten, ``12:30`` and
``2024-01-01`` are text. ``yes``, ``no``, ``on`` and ``off`` stay booleans. Duplicate keys, tags
other than the basic ones, and documents that grow without bound are errors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import yaml
from pydantic import JsonValue

from roboyard.config.interpolation import escaped, interpolate, is_interpolated, variables_in
from roboyard.config.tree import Key, Node, Place, dotted
from roboyard.errors import ConfigError

MAX_NODES = 20_000
MAX_DEPTH = 50
_TAG = "tag:yaml.org,2002:"
_TRUE = ("true", "yes", "on")
_PATTERNS = {
    "bool": (
        r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF",
        "yYnNtTfFoO",
    ),
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "int": (r"[-+]?(?:0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+|[0-9][0-9_]*)", "-+0123456789"),
    "float": (
        r"[-+]?(?:(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?"
        r"|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "merge": (r"<<", "<"),
}  # fmt: skip


class _Loader(yaml.SafeLoader):
    """Reads with the scalar rules above."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


class _Dumper(yaml.SafeDumper):
    """Quotes every text that any YAML reader, or this one, would take for something else."""

    def ignore_aliases(self, data: object) -> bool:
        del data  # Unused: values are written out in full.
        return True


def _add_resolvers() -> None:
    for name, (pattern, first) in _PATTERNS.items():
        regex = re.compile(f"^(?:{pattern})$")
        starts = ["" if letter == "\0" else letter for letter in first]
        for cls in (_Loader, _Dumper):
            cls.add_implicit_resolver(_TAG + name, regex, starts)


_add_resolvers()


def parse(text: str, source: str, *, fill_in: bool = True) -> Node:
    """Return the document in ``text`` as a node; an empty one is null.

    Args:
        text: One YAML document.
        source: File name for messages.
        fill_in: Fill in environment variables; otherwise their references stay as they are.

    Raises:
        ConfigError: It is not YAML, or holds what a config may not hold; one line a problem.
    """
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
        reader = _Reader(source, fill_in)
        node = Node(None, Place(source)) if root is None else reader.read(root, ())
    except RecursionError:
        raise ConfigError(f"{source}: nested too deeply.") from None
    except yaml.MarkedYAMLError as error:
        raise ConfigError(_syntax_message(error, source)) from error
    except yaml.reader.ReaderError as error:
        raise ConfigError(
            f"{source}: the character {chr(int(error.character))!r} at position {error.position} "
            "is not allowed in YAML."
        ) from error
    if reader.problems:
        raise ConfigError("\n".join(reader.problems))
    return node


def dump(value: JsonValue, *, is_escaped: bool = False) -> str:
    """Return ``value`` as YAML that ``parse`` reads back to the same value.

    Args:
        value: What to write.
        is_escaped: Whether ``${env:`` in it is a reference, and a literal one escaped already.
    """
    value = value if is_escaped else escaped(value)
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _syntax_message(error: yaml.MarkedYAMLError, source: str) -> str:
    mark = error.problem_mark or error.context_mark
    where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
    details = " ".join(part for part in (error.context, error.problem) if part)
    hint = " Indent with spaces, not tabs." if "\\t" in details else ""
    return f"{source}{where}: YAML syntax error: {details}.{hint}"


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    based = len(digits.lstrip("+-")) > 1 and digits.lstrip("+-")[1] in "xob"
    number = int(digits, 0 if based else 10)
    if abs(number) >= 2**63:
        raise ValueError("the number does not fit into 64 bits.")
    return number


def _float(text: str) -> float:
    digits = text.replace("_", "").lower()
    number = float(digits.replace(".inf", "inf").replace(".nan", "nan"))
    if math.isinf(number) and "inf" not in digits:
        raise ValueError(f"the number {text} is too large.")
    return number


def _string(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("the text holds half of a surrogate pair.") from None
    return text


_CONVERTERS: dict[str, Callable[[str], bool | int | float | str | None]] = {
    "null": lambda text: None,
    "bool": lambda text: text.lower() in _TRUE,
    "int": _integer,
    "float": _float,
    "str": _string,
    "merge": _string,
}


def filled_in(text: str) -> bool | int | float | str | None:
    """Return what a text with references to environment variables stands for.

    Raises:
        ValueError: A variable is unset and has no default, or a reference is malformed.
    """
    full = interpolate(text)
    tag = _Loader("").resolve(yaml.ScalarNode, full, (True, False))  # type: ignore[no-untyped-call]
    return _converted(full, tag)


def _converted(text: str, tag: str) -> bool | int | float | str | None:
    convert = _CONVERTERS.get(tag.removeprefix(_TAG))
    if convert is None:
        raise ValueError(f"the YAML tag '{tag}' is not allowed.")
    return convert(text)


class _Reader:
    """Turns PyYAML's nodes into ours and collects what is wrong with them."""

    def __init__(self, source: str, fill_in: bool) -> None:
        self.problems: list[str] = []
        self._source = source
        self._fill_in = fill_in
        self._count = 0

    def read(self, node: yaml.Node, path: tuple[Key, ...], key: yaml.Node | None = None) -> Node:
        """Return ``node``, which stands at ``path`` under ``key``."""
        place = Place(self._source, (key or node).start_mark.line + 1)
        self._count += 1
        if self._count > MAX_NODES or len(path) > MAX_DEPTH:
            raise ConfigError(
                f"{place}more than {MAX_NODES} values or {MAX_DEPTH} levels: "
                "aliases (*name) refer to themselves or multiply."
            )
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return Node(self._mapping(node, path), place)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            items = [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
            return Node(items, place)
        if isinstance(node, yaml.ScalarNode):
            reference = node.value if variables_in(node.value) else None
            return Node(self._scalar(node, path, place), place, reference)
        self._problem(place, path, f"the YAML tag '{node.tag}' is not allowed.")
        return Node(None, place)

    def _problem(self, place: Place, path: tuple[Key, ...], text: str) -> None:
        self.problems.append(f"{place}{dotted(path)}{': ' if path else ''}{text}")

    def _mapping(self, node: yaml.MappingNode, path: tuple[Key, ...]) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        inherited: dict[str, Node] = {}
        for key, value in node.value:
            place = Place(self._source, key.start_mark.line + 1)
            if not isinstance(key, yaml.ScalarNode):
                self._problem(place, path, "a key must be text.")
            elif key.tag == _TAG + "merge":
                for name, item in self._merge_key(value, path, place).items():
                    inherited.setdefault(name, item)
            elif key.value in entries:
                first = entries[key.value].place.line
                text = f"the key is given twice (first on line {first})."
                self._problem(place, (*path, key.value), text)
            else:
                # The key's own text, so that `on:` or `1:` is not a boolean or a number.
                entries[key.value] = self.read(value, (*path, key.value), key)
        return inherited | entries

    def _merge_key(self, node: yaml.Node, path: tuple[Key, ...], place: Place) -> dict[str, Node]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        entries: dict[str, Node] = {}
        for source in sources:
            read = self.read(source, (*path, "<<"))
            if not isinstance(read.value, dict):
                self._problem(place, (*path, "<<"), "must be a mapping or a list of mappings.")
                break
            entries = read.value | entries
        return entries

    def _scalar(
        self, node: yaml.ScalarNode, path: tuple[Key, ...], place: Place
    ) -> bool | int | float | str | None:
        try:
            if self._fill_in and is_interpolated(node.value):
                return filled_in(node.value)
            return _converted(node.value, node.tag)
        except ValueError as error:
            self._problem(place, path, str(error))
            return None
