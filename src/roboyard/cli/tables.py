"""Tables on the terminal that can be pasted into a Markdown page as they are."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an aligned table; columns that hold numbers are flush right.

    Example:
        >>> print(markdown_table(["name", "cores"], [["a", "8"]]))
        | name | cores |
        | :--- | ----: |
        | a    |     8 |
    """
    columns = list(zip(heads, *rows, strict=True))
    widths = [max(3, *map(len, column)) for column in columns]
    right = [all(not cell or cell[0].isdigit() for cell in cells) for _, *cells in columns]
    rules = [
        "-" * (width - 1) + ":" if flush else ":" + "-" * (width - 1)
        for width, flush in zip(widths, right, strict=True)
    ]
    return "\n".join(_line(cells, widths, right) for cells in (heads, rules, *rows))


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = [
        cell.rjust(width) if flush else cell.ljust(width)
        for cell, width, flush in zip(cells, widths, right, strict=True)
    ]
    return f"| {' | '.join(padded)} |"
