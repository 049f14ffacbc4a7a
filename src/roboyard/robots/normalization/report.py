"""Remarks as a user reads them: what matters first, those of one kind in one line."""

from __future__ import annotations

from collections.abc import Iterable

from roboyard.sim.model import Remark

ORDER = (
    "mass-lent", "root-massless", "inertia-mended", "limits-in-degrees", "range-zero",
    "joint-split", "mass-moved", "massless", "mass-computed", "inertia-of-shapes", "sdf-default",
    "limit-missing", "limit-of-continuous", "effort-zero", "velocity-zero", "armature-missing",
    "spring-missing", "axis-normalised", "fixed-merged", "floating-base", "other-robots",
    "visual-missing", "shape-empty", "comma-repaired", "xml-repaired", "repeated", "ignored",
)  # fmt: skip
"""Kinds of remarks, those that change the motion most first; others follow."""
_SHOWN = 3


def grouped(remarks: Iterable[Remark]) -> list[str]:
    """Return one line for each kind of remark: the first in full, and where else it holds."""
    kinds: dict[str, list[Remark]] = {}
    for remark in remarks:
        kinds.setdefault(remark.code, []).append(remark)
    order = {code: number for number, code in enumerate(ORDER)}
    codes = sorted(kinds, key=lambda code: order.get(code, len(order)))
    return [_line(kinds[code]) for code in codes]


def _line(remarks: list[Remark]) -> str:
    first, *others = remarks
    if not others:
        return str(first)
    names = ", ".join(remark.where for remark in others[:_SHOWN])
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    return f"{first}; likewise {names}{more}"
