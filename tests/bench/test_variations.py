"""Variations keep what an update learns from, or say that they do not."""

from __future__ import annotations

import pytest

from roboyard.bench import variations
from roboyard.bench.search import Result, Row
from roboyard.bench.variations import Effect
from roboyard.config.load import load
from roboyard.training.monitoring.profile import Profile, Setting


def config(algorithm, num_envs, **hyperparameters):
    return load(
        {
            "name": "x",
            "env": {"id": "roboyard/SimpleRobot-v0", "num_envs": num_envs},
            "agent": {"algorithm": algorithm, "hyperparameters": hyperparameters},
            "train": {"total_steps": 1000},
        }
    )


def varied(experiment):
    """Each variation's config, with what it does."""
    document = experiment.model_dump(mode="json")
    return [
        (load(document, [f"{key}={value}" for key, value in changes.items()]), effect)
        for changes, effect in variations.environments(experiment)
    ]


def test_ppo_learns_from_as_many_steps_with_any_number_of_environments():
    found = varied(config("PPO", 8, n_steps=128, batch_size=256))
    assert [other.env.num_envs for other, _ in found] == [2, 4, 16, 32]
    for other, effect in found:
        assert other.env.num_envs * other.agent.hyperparameters.n_steps == 8 * 128
        assert other.agent.hyperparameters.batch_size == 256
        assert effect is Effect.ENVIRONMENTS
        assert not effect.keeps_semantics


@pytest.mark.parametrize(("gradient_steps", "every"), [(1, 1), (16, 4), (-1, 4)])
def test_sac_makes_as_many_updates_per_step_with_any_number_of_environments(gradient_steps, every):
    own = config("SAC", 4, train_freq=every, gradient_steps=gradient_steps)
    found = varied(own)
    assert found
    for other, effect in found:
        settings, num_envs = other.agent.hyperparameters, other.env.num_envs
        samples = settings.train_freq * num_envs
        assert (samples == 4 * every) == (effect is Effect.ENVIRONMENTS)
        if gradient_steps > 0:
            assert settings.gradient_steps / samples == gradient_steps / (4 * every)
        else:
            assert settings.gradient_steps == -1


def test_algorithms_without_a_known_rule_keep_their_environments():
    assert list(variations.environments(config("ARS", 8))) == []


def test_workers_and_threads_stay_within_the_cores():
    def counts(key, found):
        return [int(change[key]) for change, _ in found]

    assert counts("env.workers", variations.workers(16, 2, used=2)) == [0]
    assert counts("env.workers", variations.workers(16, 6, used=0)) == [2, 4, 6]
    assert counts("env.workers", variations.workers(3, 8, used=0)) == [2]
    assert counts("env.workers", variations.workers(1, 8, used=0)) == [1]
    assert counts("train.threads", variations.threads(2, used=1)) == [2]
    assert counts("train.threads", variations.threads(16, used=1)) == [2, 4, 8]


def row(rate, effect=Effect.NONE, workers=0, threads=1):
    setting = Setting(8, workers, threads, "torch", "cpu", "")
    changes = {"env.workers": str(workers)}
    return Row(changes, effect, setting, Profile(1, 1.0, {}, setting), [rate])


def test_only_a_clear_gain_is_worth_a_change():
    own, slightly, clearly = row(100.0), row(104.0, workers=2), row(150.0, workers=2)
    assert Result([own, slightly], []).best(keeping=True) is own
    assert Result([own, slightly, clearly], []).best(keeping=True) is clearly


def test_what_changes_the_run_is_never_the_best_that_keeps_it():
    own, other = row(100.0), row(900.0, Effect.ENVIRONMENTS, workers=2)
    result = Result([own, other], [])
    assert result.best(keeping=True) is own
    assert result.best(keeping=False) is other
    assert result.steps_per_core_s == 100.0


def test_the_rate_of_a_core_counts_the_cores_that_a_setting_uses():
    result = Result([row(100.0, threads=1), row(150.0, workers=2)], [])
    assert result.steps_per_core_s == 100.0
    assert Result([row(150.0, workers=2)], []).steps_per_core_s == 75.0


def test_the_median_of_repeated_measurements_counts():
    repeated = row(100.0)
    repeated.rates += [90.0, 500.0]
    assert repeated.steps_per_s == 100.0
