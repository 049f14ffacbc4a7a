"""What goes to the terminal: text that others wrote is shown, never obeyed."""

from __future__ import annotations

import typer
from rich.text import Text

from roboyard.text import line, shown


def echo(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print text, and the end of the line unless ``nl`` is false; control characters are shown."""
    typer.echo(shown(str(text)), err=err, nl=nl)


def cell(text: object, style: str = "") -> Text:
    """Return a text for a table or a console, in which neither markup nor characters act."""
    return Text(line(shown(str(text))), style)
