"""What every record of a config shares: closed, frozen, documented field by field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Discriminator, StringConstraints

from roboyard.config.uses import Use

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
ENTRY_PATTERN = r"^[\w.]+:[\w.]+$"
AUTO_PATTERN = r"^auto(_[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?)?$"

PATTERNS = {
    NAME_PATTERN: (
        "a name of at most 100 letters, digits, '.', '_' and '-' that starts with a letter or digit"
    ),
    ENTRY_PATTERN: "'module:Attr'",
    AUTO_PATTERN: "'auto' or 'auto_VALUE' such as 'auto_0.1'",
}
"""Regular expressions of text fields, and how a message describes them."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN), Use.TEXT]
"""A name that is safe as a folder name."""

Entry = Annotated[str, StringConstraints(pattern=ENTRY_PATTERN), Use.CODE]
"""``"module:Attr"``, an importable object."""

Auto = Annotated[str, StringConstraints(pattern=AUTO_PATTERN)]
"""``auto``, or ``auto_0.1`` to start at a value other than 1."""


class Record(BaseModel):
    """A closed and frozen record: unknown keys are errors, values cannot be reassigned."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        validate_default=True,
    )


class Choice(NamedTuple):
    """A field that holds one of several records, told apart by one key."""

    key: str
    """Key whose value says which record it is."""
    allowed: tuple[str, ...]
    """Values of that key."""
    expected: str
    """What the field may hold, for messages."""


CHOICES: dict[str, Choice] = {}
"""Every such field of the config, by the singular noun that messages use."""


def choice(
    noun: str,
    tag: Callable[[object], str | None],
    allowed: Sequence[str],
    *,
    key: str,
    expected: str,
) -> Discriminator:
    """Return a discriminator whose errors ``messages`` can explain.

    Args:
        noun: What is chosen, such as ``"schedule"``.
        tag: Returns a value's union tag in angle brackets, so that no user's key equals it.
        allowed: The names to choose from.
        key: Key that holds the name.
        expected: What the field may hold, for messages.
    """
    CHOICES[noun] = Choice(key, tuple(allowed), expected)
    return Discriminator(tag, custom_error_type=noun, custom_error_message=f"must be {expected}")
