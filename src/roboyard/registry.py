"""Names to things, lazily: entries are objects or ``"module:Attr"`` strings.

Nothing is imported before it is asked for, so listing the algorithms costs no torch import.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from typing import Generic, TypeVar

from roboyard.errors import ConfigError

T = TypeVar("T")


def suggest(word: str, candidates: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest candidate, or an empty string."""
    lowered = {name.lower(): name for name in candidates}
    nearest = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.5)
    return f" Did you mean '{lowered[nearest[0]]}'?" if nearest else ""


def resolve_entry(entry: str, kind: str = "object") -> object:
    """Import the object that ``"module:Attr"`` names.

    Args:
        entry: A dotted module path, a colon, and a dotted attribute path.
        kind: What the entry stands for, used in messages.

    Raises:
        ConfigError: The text has another form, or the module or attribute does not exist.
    """
    module_name, colon, attribute_path = entry.partition(":")
    if not (colon and module_name and attribute_path):
        raise ConfigError(f"{kind} '{entry}' is not of the form 'module:Attr'.")
    try:
        target: object = importlib.import_module(module_name)
    except ImportError as error:
        absent = getattr(error, "name", None) or ""
        if not f"{module_name}.".startswith(f"{absent}."):
            raise ConfigError(
                f"{kind} '{entry}': module '{module_name}' was found, but it cannot import what it "
                f"needs ({error}). Install that, or mend the import in the module."
            ) from error
        raise ConfigError(
            f"{kind} '{entry}': module '{module_name}' cannot be imported ({error}). "
            "Install it, or put its folder on PYTHONPATH."
        ) from error
    for attribute in attribute_path.split("."):
        if not hasattr(target, attribute):
            hint = suggest(attribute, [name for name in dir(target) if name[0] != "_"])
            raise ConfigError(f"{kind} '{entry}': '{module_name}' has no '{attribute}'.{hint}")
        target = getattr(target, attribute)
    return target


class Registry(Generic[T]):
    """A table from names to objects of one kind.

    Example:
        >>> shapes: Registry[type] = Registry("shape", {"fraction": "fractions:Fraction"})
        >>> shapes.resolve("fraction").__name__
        'Fraction'
    """

    def __init__(self, kind: str, entries: dict[str, T | str] | None = None) -> None:
        """Create a registry.

        Args:
            kind: Singular noun used in messages, such as ``"algorithm"``.
            entries: First entries, objects or ``"module:Attr"`` strings.
        """
        self.kind = kind
        self._entries: dict[str, T | str] = dict(entries or {})

    def __contains__(self, name: str) -> bool:
        """Return whether ``name`` is registered."""
        return name in self._entries

    def names(self) -> tuple[str, ...]:
        """Return the registered names, sorted."""
        return tuple(sorted(self._entries))

    def entry(self, name: str) -> T | str | None:
        """Return what is registered as ``name``, without importing it; None if nothing is."""
        return self._entries.get(name)

    def register(self, name: str, entry: T | str, *, replace: bool = False) -> None:
        """Add an entry.

        Raises:
            ConfigError: The name is taken and ``replace`` is false.
        """
        if name in self._entries and not replace:
            raise ConfigError(
                f"{self.kind} '{name}' is already registered; pass replace=True to replace it."
            )
        self._entries[name] = entry

    def resolve(self, name: str) -> T:
        """Return the object registered as ``name``, or the one that ``"module:Attr"`` names.

        Raises:
            ConfigError: Neither a registered name nor an importable entry.
        """
        if name in self._entries:
            entry = self._entries[name]
            if isinstance(entry, str):
                return resolve_entry(entry, self.kind)  # type: ignore[return-value]
            return entry
        if ":" in name:
            return resolve_entry(name, self.kind)  # type: ignore[return-value]
        raise ConfigError(
            f"unknown {self.kind} '{name}'. Allowed: {', '.join(self.names())}, "
            f"or 'module:Attr'.{suggest(name, self._entries)}"
        )
