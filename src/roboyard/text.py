"""Text that others wrote, made safe to show; values that must not be shown, taken out of text."""

from __future__ import annotations

import logging

_SHORTEST_SECRET = 6
"""Values with fewer letters would be found in text that has nothing to do with them."""
_CONCEALED: dict[str, str] = {}


def printable(text: str) -> str:
    r"""Return text in which control and formatting characters are written out, as in ``\x1b``.

    A terminal obeys such characters: they clear it, recolour it, or show a line in another order
    than it has. Ends of lines and tabs stay.

    Example:
        >>> print(printable("a\x1b[2Jb"))
        a\x1b[2Jb
    """
    return "".join(c if c.isprintable() or c in "\n\t" else _written_out(c) for c in text)


def line(text: str) -> str:
    """Return text as one printable line: ends of lines and tabs are written out, too."""
    return "".join(c if c.isprintable() else _written_out(c) for c in text)


def _written_out(character: str) -> str:
    return character.encode("unicode_escape", "replace").decode("ascii")


def conceal_from_now_on(value: str, reference: str) -> None:
    """Let ``concealed`` put a reference, such as ``${env:TOKEN}``, in the place of a value."""
    if len(value) >= _SHORTEST_SECRET:
        _CONCEALED[value] = reference


def concealed(text: str) -> str:
    """Return text without the values that came from environment variables."""
    for value in sorted(_CONCEALED, key=len, reverse=True):
        text = text.replace(value, _CONCEALED[value])
    return text


def shown(text: str) -> str:
    """Return text as it may go to a terminal or into a log."""
    return printable(concealed(text))


class ShownFormatter(logging.Formatter):
    """Formats log records as they may be shown: what they quote acts on nothing."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        return shown(super().format(record))
