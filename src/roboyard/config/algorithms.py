"""Hyperparameters of each algorithm, named and defaulted as in its implementation.

A test compares every record with the signature of the class it configures. Arguments that
Roboyard sets itself (policy, env, seed, device, networks, noise, buffers, logging) are left out.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from roboyard.config.base import Auto, Record
from roboyard.config.schedules import Scheduled

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
SdeFrequency = Annotated[int, Field(ge=-1)]


class OnPolicyHyperparameters(Record):
    """Common to PPO, A2C, TRPO and RecurrentPPO."""

    learning_rate: Scheduled = 3e-4
    """Step size of the optimiser."""
    n_steps: PositiveInt = 2048
    """Control steps in each environment between updates."""
    gamma: Fraction = 0.99
    """Discount factor."""
    gae_lambda: Fraction = 0.95
    """Trade-off of bias and variance in the advantage (Schulman et al. 2016)."""
    use_sde: bool = False
    """Generalised state-dependent exploration (Raffin et al. 2021) instead of white noise."""
    sde_sample_freq: SdeFrequency = -1
    """Control steps between new exploration matrices; -1 draws one per rollout."""


class PPOHyperparameters(OnPolicyHyperparameters):
    """Proximal policy optimisation (Schulman et al. 2017)."""

    batch_size: PositiveInt = 64
    """Samples in a minibatch."""
    n_epochs: PositiveInt = 10
    """Passes over each rollout."""
    clip_range: Scheduled = 0.2
    """Largest change of the probability ratio."""
    clip_range_vf: Scheduled | None = None
    """Largest change of the value, if limited."""
    normalize_advantage: bool = True
    """Scale advantages in each minibatch to zero mean and unit variance."""
    ent_coef: NonNegativeFloat = 0.0
    """Weight of the entropy bonus."""
    vf_coef: NonNegativeFloat = 0.5
    """Weight of the value loss."""
    max_grad_norm: PositiveFloat = 0.5
    """Largest norm of the gradient."""
    target_kl: PositiveFloat | None = None
    """Stop an update when the policy has moved further than this."""


class RecurrentPPOHyperparameters(PPOHyperparameters):
    """PPO with an LSTM policy."""

    n_steps: PositiveInt = 128
    """Control steps in each environment between updates."""
    batch_size: PositiveInt = 128
    """Samples in a minibatch."""


class A2CHyperparameters(OnPolicyHyperparameters):
    """Advantage actor-critic (Mnih et al. 2016), synchronous."""

    learning_rate: Scheduled = 7e-4
    """Step size of the optimiser."""
    n_steps: PositiveInt = 5
    """Control steps in each environment between updates."""
    gae_lambda: Fraction = 1.0
    """Trade-off of bias and variance in the advantage; 1 is the classic advantage."""
    ent_coef: NonNegativeFloat = 0.0
    """Weight of the entropy bonus."""
    vf_coef: NonNegativeFloat = 0.5
    """Weight of the value loss."""
    max_grad_norm: PositiveFloat = 0.5
    """Largest norm of the gradient."""
    rms_prop_eps: PositiveFloat = 1e-5
    """Epsilon of RMSprop."""
    use_rms_prop: bool = True
    """RMSprop instead of Adam."""
    normalize_advantage: bool = False
    """Scale advantages to zero mean and unit variance."""


class TRPOHyperparameters(OnPolicyHyperparameters):
    """Trust region policy optimisation (Schulman et al. 2015)."""

    learning_rate: Scheduled = 1e-3
    """Step size of the value function's optimiser."""
    batch_size: PositiveInt = 128
    """Samples in a minibatch of the value function."""
    cg_max_steps: PositiveInt = 15
    """Steps of the conjugate gradient method."""
    cg_damping: NonNegativeFloat = 0.1
    """Damping of the Hessian-vector product."""
    line_search_shrinking_factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.8
    """How fast the line search shrinks its step."""
    line_search_max_iter: PositiveInt = 10
    """Steps of the line search."""
    n_critic_updates: PositiveInt = 10
    """Updates of the value function per update of the policy."""
    normalize_advantage: bool = True
    """Scale advantages to zero mean and unit variance."""
    target_kl: PositiveFloat = 0.01
    """Size of the trust region."""
    sub_sampling_factor: PositiveInt = 1
    """Use every n-th sample for the policy update."""


class OffPolicyHyperparameters(Record):
    """Common to SAC, TD3, TQC and CrossQ."""

    learning_rate: Scheduled = 3e-4
    """Step size of the optimisers."""
    buffer_size: PositiveInt = 1_000_000
    """Transitions that the replay buffer holds."""
    learning_starts: NonNegativeInt = 100
    """Control steps with random actions before learning starts."""
    batch_size: PositiveInt = 256
    """Samples in a minibatch."""
    gamma: Fraction = 0.99
    """Discount factor."""
    train_freq: PositiveInt = 1
    """Control steps (in each environment) between updates."""
    gradient_steps: Annotated[int, Field(ge=-1)] = 1
    """Gradient steps per update; -1 does as many as control steps were taken."""
    optimize_memory_usage: bool = False
    """Store each observation once; not for environments with goals."""
    n_steps: PositiveInt = 1
    """Steps of the n-step return."""


class SACHyperparameters(OffPolicyHyperparameters):
    """Soft actor-critic (Haarnoja et al. 2018)."""

    tau: Fraction = 0.005
    """Share of the online network in each update of the target network."""
    ent_coef: NonNegativeFloat | Auto = "auto"
    """Weight of the entropy; ``auto`` learns it, ``auto_0.1`` from another first value than 1."""
    target_update_interval: PositiveInt = 1
    """Gradient steps between updates of the target network."""
    target_entropy: float | Literal["auto"] = "auto"
    """Entropy to aim at when ``ent_coef`` is learnt; ``auto`` is minus the action dimension."""
    use_sde: bool = False
    """Generalised state-dependent exploration (Raffin et al. 2021)."""
    sde_sample_freq: SdeFrequency = -1
    """Control steps between new exploration matrices; -1 draws one per rollout."""
    use_sde_at_warmup: bool = False
    """Explore with gSDE instead of uniformly before learning starts."""


class TQCHyperparameters(SACHyperparameters):
    """Truncated quantile critics (Kuznetsov et al. 2020)."""

    top_quantiles_to_drop_per_net: NonNegativeInt = 2
    """How many of the largest quantiles of each critic to drop."""


class TD3Hyperparameters(OffPolicyHyperparameters):
    """Twin delayed deterministic policy gradient (Fujimoto et al. 2018)."""

    learning_rate: Scheduled = 1e-3
    """Step size of the optimisers."""
    tau: Fraction = 0.005
    """Share of the online network in each update of the target network."""
    policy_delay: PositiveInt = 2
    """Critic updates per actor update."""
    target_policy_noise: NonNegativeFloat = 0.2
    """Standard deviation of the noise on target actions."""
    target_noise_clip: NonNegativeFloat = 0.5
    """Largest absolute value of that noise."""


class CrossQHyperparameters(OffPolicyHyperparameters):
    """CrossQ: batch normalisation instead of target networks (Bhatt et al. 2024)."""

    learning_rate: Scheduled = 1e-3
    """Step size of the optimisers."""
    ent_coef: NonNegativeFloat | Auto = "auto"
    """Weight of the entropy; ``auto`` learns it, ``auto_0.1`` from another first value than 1."""
    target_entropy: float | Literal["auto"] = "auto"
    """Entropy to aim at when ``ent_coef`` is learnt."""
    policy_delay: PositiveInt = 3
    """Critic updates per actor update."""
    use_sde: bool = False
    """Generalised state-dependent exploration (Raffin et al. 2021)."""
    sde_sample_freq: SdeFrequency = -1
    """Control steps between new exploration matrices; -1 draws one per rollout."""
    use_sde_at_warmup: bool = False
    """Explore with gSDE instead of uniformly before learning starts."""


class ARSHyperparameters(Record):
    """Augmented random search (Mania et al. 2018)."""

    n_delta: PositiveInt = 8
    """Random directions tried in each update."""
    n_top: PositiveInt | None = None
    """How many of the best directions to use; all by default."""
    learning_rate: Scheduled = 0.02
    """Step size."""
    delta_std: Scheduled = 0.05
    """Standard deviation of the directions."""
    zero_policy: bool = True
    """Start from zero weights."""
    alive_bonus_offset: float = 0.0
    """Constant added to each reward, to cancel a bonus for being alive."""
    n_eval_episodes: PositiveInt = 1
    """Episodes per direction."""

    @model_validator(mode="after")
    def _top_fits(self) -> Self:
        if self.n_top is not None and self.n_top > self.n_delta:
            raise ValueError(f"n_top ({self.n_top}) must be at most n_delta ({self.n_delta}).")
        return self
