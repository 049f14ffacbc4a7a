"""Telling a supervisor how far the run is."""

from __future__ import annotations

from stable_baselines3.common.callbacks import BaseCallback

from roboyard.runs.heartbeat import Heartbeat, follow_supervisor


class HeartbeatCallback(BaseCallback):
    """Tells every step."""

    reads_all_infos = False

    def __init__(self, heartbeat: Heartbeat) -> None:
        """Tell it to ``heartbeat``."""
        super().__init__()
        self._heartbeat = heartbeat

    def _on_step(self) -> bool:
        self._heartbeat.tell(self.num_timesteps)
        return True


def heartbeat_callbacks() -> tuple[HeartbeatCallback, ...]:
    """Return the callback of a supervised process, and do what that owes; nothing for others."""
    heartbeat = follow_supervisor()
    return () if heartbeat is None else (HeartbeatCallback(heartbeat),)
