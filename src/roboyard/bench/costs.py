"""From control steps per second on this machine to money per million steps on others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from roboyard.bench.prices import MachinePrice

MODEL: Final = (
    "cost per million steps = price per hour / (steps/s x 3600) x 1e6, "
    "with steps/s = {rate:,.0f} per core here x physical cores there"
)
ASSUMPTION: Final = (
    "It assumes cores as fast as this machine's, all of them busy with such runs (several runs "
    "on a large machine), no accelerator, and neither start-up time nor work lost to interruptions."
)


class Cost(NamedTuple):
    """What a million control steps cost on one machine type."""

    machine: MachinePrice
    steps_per_s: float
    """Estimated, of all runs on the machine together [1/s]."""
    on_demand: float | None
    """At the price on demand."""
    spot: float | None
    """At the spot price."""


def cost_per_million(price: float, steps_per_s: float) -> float:
    """Return what a million steps cost.

    Args:
        price: Of the machine [per hour].
        steps_per_s: Control steps per second [1/s].

    Example:
        >>> round(cost_per_million(0.36, 1000.0), 3)
        0.1
    """
    return price / (steps_per_s * 3600.0) * 1e6


def costs(machines: Iterable[MachinePrice], steps_per_core_s: float) -> list[Cost]:
    """Return the costs on each machine, cheapest first."""

    def estimate(machine: MachinePrice) -> Cost:
        speed = machine.cores * steps_per_core_s
        prices = (machine.on_demand, machine.spot)
        on_demand, spot = (
            None if price is None else cost_per_million(price, speed) for price in prices
        )
        return Cost(machine, speed, on_demand, spot)

    def cheapest(cost: Cost) -> float:
        return min(price for price in (cost.spot, cost.on_demand) if price is not None)

    return sorted(map(estimate, machines), key=cheapest)
