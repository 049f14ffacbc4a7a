"""Prices of machine types: the shipped table, or the user's own in CSV, YAML or JSON."""

from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import Field, PositiveFloat, PositiveInt, StringConstraints, model_validator

from roboyard.config.base import PATTERNS, Record
from roboyard.config.files import read_text
from roboyard.config.tree import Node, Place
from roboyard.config.validation import checked
from roboyard.config.yaml_text import parse
from roboyard.errors import ConfigError

SHIPPED: Final = "prices.csv"
_KEY: Final = "prices"
_TEXTS: Final = ("type", "region", "date", "spot_date")
_DATE_PATTERN: Final = r"^\d{4}-\d{2}(-\d{2})?$"
PATTERNS[_DATE_PATTERN] = "a date such as 2026-11-26 or 2026-11"

Date = Annotated[str, StringConstraints(pattern=_DATE_PATTERN)]


class MachinePrice(Record):
    """What one machine type costs in one region."""

    type: str = Field(min_length=1)
    """Name of the machine type."""
    region: str = ""
    """Where."""
    vcpu: PositiveInt | None = None
    """Hardware threads."""
    cores: PositiveInt
    """Physical cores."""
    on_demand: PositiveFloat | None = None
    """Price on demand [per hour]."""
    date: Date | None = None
    """When that was the price."""
    spot: PositiveFloat | None = None
    """Price of spare capacity, which may be taken away [per hour]."""
    spot_date: Date | None = None
    """When that was the price; by default ``date``."""

    @model_validator(mode="after")
    def _prices_have_dates(self) -> Self:
        if self.on_demand is None and self.spot is None:
            raise ValueError("has no price: give on_demand, spot or both")
        if self.on_demand is not None and self.date is None:
            raise ValueError("has no date: say when on_demand was the price")
        if self.spot is not None and self.spot_date is None and self.date is None:
            raise ValueError("has no spot_date: say when spot was the price")
        return self


class PriceTable(Record):
    """Prices of several machine types."""

    prices: tuple[MachinePrice, ...] = Field(min_length=1)
    """One row for each type and region."""


def load_prices(path: str | Path | None = None) -> PriceTable:
    """Return the prices of a file, or the shipped ones.

    Args:
        path: CSV with a header, or YAML or JSON with a list of mappings (also under ``prices``);
            the columns are the fields of :class:`MachinePrice`. Lines of a CSV file that begin
            with ``#`` are comments.

    Raises:
        ConfigError: It cannot be read or something in it is wrong; the message names the lines.
    """
    if path is None:
        shipped = files("roboyard.bench").joinpath(SHIPPED)
        return checked(PriceTable, _from_csv(shipped.read_text(), SHIPPED))
    text, name = read_text(Path(path)), str(path)
    if Path(path).suffix.lower() == ".csv":
        return checked(PriceTable, _from_csv(text, name))
    root = parse(text, name)
    if isinstance(root.value, list):
        root = Node({_KEY: root}, root.place)
    if not isinstance(root.value, dict):
        raise ConfigError(
            f"{name}: must be a list of prices, such as "
            "[{type: c7a.2xlarge, cores: 8, on_demand: 0.411, date: 2026-07-20}]."
        )
    return checked(PriceTable, root)


def _from_csv(text: str, name: str) -> Node:
    """Return the rows of a CSV file, each value with its line."""
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.startswith("#")
    ]
    if len(lines) < 2:
        raise ConfigError(
            f"{name}: needs a header such as 'type,cores,on_demand,date' and at least one row."
        )
    header, *rows = csv.reader([line for _, line in lines])
    columns = [column.strip() for column in header]
    nodes = []
    for (number, _), row in zip(lines[1:], rows, strict=True):
        place = Place(name, number)
        if len(row) != len(columns):
            raise ConfigError(
                f"{place}has {len(row)} values, but the header names {len(columns)} columns."
            )
        values = {
            column: Node(_scalar(column, value.strip()), place)
            for column, value in zip(columns, row, strict=True)
            if value.strip()
        }
        nodes.append(Node(values, place))
    return Node({_KEY: Node(list(nodes), Place(name, lines[0][0]))}, Place(name))


def _scalar(column: str, text: str) -> int | float | str:
    if column in _TEXTS:
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
