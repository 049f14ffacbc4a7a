"""How much time goes into the physics engine."""

from __future__ import annotations

import time

from roboyard.sim.world import World


class StepTimer:
    """Adds up the time of a world's steps; a world without one pays nothing for it."""

    def __init__(self, world: World) -> None:
        """Time every further ``world.step()``; other worlds stay as they are."""
        self.nanoseconds = 0
        """Time spent in the engine's steps so far [ns]."""
        step, now = world.step, time.perf_counter_ns

        def timed() -> None:
            start = now()
            step()
            self.nanoseconds += now() - start

        vars(world)["step"] = timed
