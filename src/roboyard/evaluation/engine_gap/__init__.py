"""The gap between engines: one task and one policy in several of them."""

from roboyard.evaluation.engine_gap.compare import GapReport, compare_engines

__all__ = ["GapReport", "compare_engines"]
