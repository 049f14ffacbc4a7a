"""Rollouts of on-policy algorithms: while environments step, the rest is computed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.distributions import Distribution, StateDependentNoiseDistribution
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy, BaseModel
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, MlpExtractor
from stable_baselines3.common.type_aliases import PyTorchObs
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from roboyard.agents.fast.steps import unchecked_distributions

_TAKEN_APART = ("forward", "extract_features", "_get_action_dist_from_latent")


class Choice(NamedTuple):
    """Actions, and what is needed to judge them."""

    actions: Tensor
    """As the distribution gives them."""
    observations: PyTorchObs
    features: Tensor
    """Of the observations, for the actor."""
    latent: Tensor
    """The actor's last hidden layer."""
    distribution: Distribution | None
    """Where the actions are from; None if it is not known yet."""


class Step(NamedTuple):
    """A step of all environments that is not in the buffer yet."""

    observations: Any
    actions: NDArray[Any]
    rewards: NDArray[np.float32]
    starts: NDArray[np.bool_]
    """Where an episode began with the observation."""
    values: Tensor
    log_probs: Tensor
    dones: NDArray[np.bool_]
    infos: list[dict[str, Any]]


class OverlappedRollouts(OnPolicyAlgorithm):
    """Collects SB3's rollouts in less time, bit for bit the same.

    The environments are sent off as soon as their actions are known; values, log-probabilities
    and the bookkeeping of the step before follow while worker processes step. Callbacks see what
    they see in SB3.
    """

    @property
    def overlaps(self) -> bool:
        """Whether the policy's forward pass is SB3's own, which can be taken apart."""
        policy = self.policy
        return (
            isinstance(policy, ActorCriticPolicy)
            and _is_as_in(ActorCriticPolicy, policy, *_TAKEN_APART)
            and _is_as_in(MlpExtractor, policy.mlp_extractor, "forward")
        )

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Fill the buffer; see SB3's ``OnPolicyAlgorithm``."""
        if not self.overlaps or type(env).step is not VecEnv.step:
            return super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps)
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        if self.use_sde:
            self.policy.reset_noise(env.num_envs)
        callback.on_rollout_start()
        with acting_threads(self.observation_space):
            dones = self._make_steps(env, callback, rollout_buffer, n_rollout_steps)
            if dones is None:
                return False
            with torch.no_grad():
                values = self.policy.predict_values(self._observed())
        rollout_buffer.compute_returns_and_advantage(last_values=values, dones=dones)
        callback.update_locals({"values": values, "n_steps": n_rollout_steps})
        callback.on_rollout_end()
        return True

    def _make_steps(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> NDArray[np.bool_] | None:
        """Make all steps; return the last ``dones``, or None if a callback ends the training."""
        # Variables have SB3's names, because callbacks look them up.
        dones: NDArray[np.bool_] | None = None
        last: Step | None = None
        for n_steps in range(n_rollout_steps):
            with torch.no_grad(), unchecked_distributions():
                if self.use_sde and self.sde_sample_freq > 0 == n_steps % self.sde_sample_freq:
                    self.policy.reset_noise(env.num_envs)
                obs_tensor = self._observed()
                choice = self.choose(obs_tensor)
                actions = choice.actions.reshape((-1, *self.action_space.shape)).cpu().numpy()  # type: ignore[misc]
                clipped_actions = self._allowed(actions)
                env.step_async(clipped_actions)
                self._keep(last, rollout_buffer)
                values, log_probs = self.judge(choice)
            if not math.isfinite(log_probs.sum().item()):
                self._check(choice)
            new_obs, rewards, dones, infos = env.step_wait()
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return None
            starts = self._last_episode_starts
            assert starts is not None
            last = Step(self._last_obs, actions, rewards, starts, values, log_probs, dones, infos)
            self._last_obs = new_obs  # type: ignore[assignment]
            self._last_episode_starts = dones
        self._keep(last, rollout_buffer)
        return dones

    def choose(self, observations: PyTorchObs) -> Choice:
        """Draw actions, and compute nothing that they do not need."""
        policy = self.policy
        shared = policy.share_features_extractor
        extractor = policy.features_extractor if shared else policy.pi_features_extractor
        features = _features(policy, observations, extractor)
        latent = policy.mlp_extractor.forward_actor(features)
        noise = policy.action_dist
        if type(noise) is StateDependentNoiseDistribution:
            # The variance, which takes longer than the noise, is for the log-probability alone.
            actions = policy.action_net(latent) + noise.get_noise(latent)
            if noise.bijector is not None:
                actions = noise.bijector.forward(actions)
            return Choice(actions, observations, features, latent, None)
        distribution = policy._get_action_dist_from_latent(latent)
        return Choice(distribution.get_actions(), observations, features, latent, distribution)

    def judge(self, choice: Choice) -> tuple[Tensor, Tensor]:
        """Return values, shape (num_envs, 1), and the actions' log-probabilities, (num_envs,)."""
        policy, features = self.policy, choice.features
        if not policy.share_features_extractor:
            features = _features(policy, choice.observations, policy.vf_features_extractor)
        values = policy.value_net(policy.mlp_extractor.forward_critic(features))
        distribution = choice.distribution or policy._get_action_dist_from_latent(choice.latent)
        return values, distribution.log_prob(choice.actions)

    def _check(self, choice: Choice) -> None:
        """Raise torch's error if the distribution of the actions is not a possible one."""
        self.policy._get_action_dist_from_latent(choice.latent).log_prob(choice.actions)

    def _observed(self) -> PyTorchObs:
        assert self._last_obs is not None
        return obs_as_tensor(self._last_obs, self.device)

    def _allowed(self, actions: NDArray[Any]) -> NDArray[Any]:
        """Return the actions within the bounds of the action space."""
        space = self.action_space
        if not isinstance(space, spaces.Box):
            return actions
        if self.policy.squash_output:
            return self.policy.unscale_action(actions)
        clipped: NDArray[Any] = np.clip(actions, space.low, space.high)
        return clipped

    def _keep(self, step: Step | None, rollout_buffer: RolloutBuffer) -> None:
        """Put a step into the buffer; episodes that ran out of time go on with their value."""
        if step is None:
            return
        self._update_info_buffer(step.infos, step.dones)
        for index in np.flatnonzero(step.dones):
            info = step.infos[index]
            last = info.get("terminal_observation")
            if last is not None and info.get("TimeLimit.truncated", False):
                with torch.no_grad():
                    value = self.policy.predict_values(self.policy.obs_to_tensor(last)[0])[0]
                step.rewards[index] += self.gamma * value
        rollout_buffer.add(*step[:6])


@contextmanager
def acting_threads(observation_space: gymnasium.Space[Any]) -> Iterator[None]:
    """Act on one thread, unless observations have images.

    A batch is as small as the number of environments: more threads gain nothing, and go on
    spinning for a while on the cores that the environments need.
    """
    threads = torch.get_num_threads()
    if not _has_images(observation_space):
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _has_images(space: gymnasium.Space[Any]) -> bool:
    parts = space.values() if isinstance(space, spaces.Dict) else (space,)
    return any(is_image_space(part) for part in parts)


def _features(
    policy: ActorCriticPolicy, observations: PyTorchObs, extractor: BaseFeaturesExtractor
) -> Tensor:
    return BaseModel.extract_features(policy, observations, extractor)


def _is_as_in(owner: type[nn.Module], module: nn.Module, *names: str) -> bool:
    """Return whether calling a module runs the owner's methods, and no hooks."""
    hooked = module._forward_hooks or module._forward_pre_hooks
    methods = [getattr(getattr(module, name), "__func__", None) for name in names]
    return not hooked and methods == [getattr(owner, name) for name in names]
