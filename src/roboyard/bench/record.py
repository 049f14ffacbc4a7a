"""A search and its costs as JSON values."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from roboyard.bench.costs import ASSUMPTION, MODEL, Cost
from roboyard.bench.search import Result, Row
from roboyard.runs.directory import now
from roboyard.runs.provenance import host_facts, library_versions


def record(
    config: str, overrides: Sequence[str], warning: str, result: Result, estimates: Sequence[Cost]
) -> dict[str, object]:
    """Return everything that ``roboyard bench`` found out.

    Args:
        config: The config's file.
        overrides: The user's own, as after ``--set``.
        warning: What speaks against the figures; empty if nothing does.
        result: The search's.
        estimates: Costs; empty if there is no price table.
    """
    rate = result.steps_per_core_s
    return {
        "config": config,
        "overrides": list(overrides),
        "time": now(),
        "host": host_facts(),
        "versions": library_versions(),
        "warning": warning,
        "settings": [_row(row) for row in result.rows],
        "best": result.best(keeping=True).overrides,
        "best_of_all": result.best(keeping=False).overrides,
        "notes": result.notes,
        "steps_per_core_s": rate,
        "costs": [
            {
                **cost.machine.model_dump(),
                "steps_per_s": cost.steps_per_s,
                "on_demand_per_million_steps": cost.on_demand,
                "spot_per_million_steps": cost.spot,
            }
            for cost in estimates
        ],
        "cost_model": f"{MODEL.format(rate=rate)}. {ASSUMPTION}",
    }


def _row(row: Row) -> dict[str, object]:
    return {
        "set": row.overrides,
        "effect": row.effect.value,
        **dataclasses.asdict(row.setting),
        "steps_per_s": row.steps_per_s,
        "measurements": row.rates,
        "phases": row.profile.to_dict()["phases"],
    }
