"""Rollouts of on-policy algorithms: while environments step, the rest is computed."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import PyTorchObs
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from roboyard.agents.torch.acting import (
    ChosenActions,
    can_take_apart,
    choose_actions,
    judge_actions,
)
from roboyard.agents.torch.threads import acting_threads, torch_threads


class PendingStep(NamedTuple):
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
        return can_take_apart(self.policy)

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
            # No gradients: what remembers them would keep weights from being part of a graph.
            with torch.no_grad():
                self.policy.reset_noise(env.num_envs)
        callback.on_rollout_start()
        with torch_threads(acting_threads(self.observation_space)):
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
        last: PendingStep | None = None
        for n_steps in range(n_rollout_steps):
            with torch.no_grad():
                if self.use_sde and self.sde_sample_freq > 0 == n_steps % self.sde_sample_freq:
                    self.policy.reset_noise(env.num_envs)
                obs_tensor = self._observed()
                chosen = self.choose(obs_tensor)
                actions = chosen.actions.reshape((-1, *self.action_space.shape)).cpu().numpy()  # type: ignore[misc]
                clipped_actions = self._allowed(actions)
                env.step_async(clipped_actions)
                self._keep(last, rollout_buffer)
                values, log_probs = self.judge(chosen)
            if not math.isfinite(log_probs.sum().item()):
                # Built with torch's checks, a distribution that is no possible one raises.
                self.policy._get_action_dist_from_latent(chosen.latent)
            new_obs, rewards, dones, infos = env.step_wait()
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return None
            starts = self._last_episode_starts
            assert starts is not None
            last = PendingStep(
                self._last_obs, actions, rewards, starts, values, log_probs, dones, infos
            )
            self._last_obs = new_obs  # type: ignore[assignment]
            self._last_episode_starts = dones
        self._keep(last, rollout_buffer)
        return dones

    def choose(self, observations: PyTorchObs) -> ChosenActions:
        """Draw actions; a method, so that its time can be taken."""
        return choose_actions(self.policy, observations)

    def judge(self, chosen: ChosenActions) -> tuple[Tensor, Tensor]:
        """Return values and log-probabilities; a method, so that its time can be taken."""
        return judge_actions(self.policy, chosen)

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

    def _keep(self, step: PendingStep | None, rollout_buffer: RolloutBuffer) -> None:
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
