"""Infos of every step travel from worker processes only where the user's code may read them."""

from __future__ import annotations

from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback
from training_runs import fingerprint, tiny_config, train

WORKERS = ("env.id=hopper-run", "env.workers=1", "evaluation.during_training=false")


class Listener(BaseCallback):
    """Counts the steps of which the infos came."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = 0

    def _on_step(self) -> bool:
        self.heard += sum("reward_terms" in info for info in self.locals["infos"])
        return True


def test_the_users_callbacks_see_the_infos_of_every_step(tmp_path: Path) -> None:
    listener = Listener()
    train(tiny_config(tmp_path, overrides=WORKERS), run_id="a", callbacks=[listener])
    assert listener.heard == 192


def test_a_run_is_the_same_whether_or_not_they_travel(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, overrides=WORKERS)
    alone = train(config, run_id="alone")
    heard = train(config, run_id="heard", callbacks=[Listener()])
    assert fingerprint(Path(alone.run_dir)) == fingerprint(Path(heard.run_dir))


class Uninterested(Listener):
    reads_all_infos = False


def test_a_callback_that_says_it_reads_no_infos_gets_those_of_ended_episodes(
    tmp_path: Path,
) -> None:
    listener = Uninterested()
    train(tiny_config(tmp_path, overrides=WORKERS), run_id="a", callbacks=[listener])
    assert listener.heard < 192
