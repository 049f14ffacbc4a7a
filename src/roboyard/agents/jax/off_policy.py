"""Off-policy learning whose gradient steps of one ``train`` call are one compiled call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import torch
from jax import lax
from stable_baselines3.common.noise import ActionNoise

from roboyard.agents.jax.cache import publish
from roboyard.agents.jax.exchange import copies, fetch, put
from roboyard.agents.jax.networks import Tensors, tensor_names, tensors_of
from roboyard.agents.jax.optimizers import Adam, Moments, Parameters
from roboyard.agents.jax.runtime import named_for
from roboyard.agents.torch.exploring import LeanExploration
from roboyard.agents.torch.sampling import sample
from roboyard.agents.torch.threads import acting_threads, torch_threads

Batch = dict[str, Any]
"""Columns of a minibatch; observations may be dictionaries themselves."""
Metrics = dict[str, jax.Array]
ENTROPY_COEFFICIENT = "log_ent_coef"
"""Name among the tensors, beside those of the policy."""


class OffPolicyLearner(NamedTuple):
    """What a gradient step changes."""

    tensors: Parameters
    """Of all networks, targets included, and the logarithm of the entropy coefficient."""
    moments: dict[str, Moments]
    """Each optimiser's memory."""


class Turn(NamedTuple):
    """What a gradient step depends on, besides the learner and its minibatch."""

    rate: jax.Array
    """Learning rate."""
    key: jax.Array
    """For the step's noise."""
    number: jax.Array
    """Steps of the run, this one included."""


class CompiledOffPolicy(LeanExploration):
    """An off-policy algorithm with a compiled update.

    Between updates everything that is learnt stays with JAX; torch gets the actor, which acts.
    ``refresh_policy`` brings the critics and the optimisers up to date, for whoever reads them.
    """

    actor: Any
    critic: Any
    learner_device: jax.Device
    """Where the update runs."""

    def compile(self, device: jax.Device) -> None:
        """Prepare the update.

        Args:
            device: Where it will run.

        Raises:
            ConfigError: The networks have a layer that cannot be compiled.
        """
        self.learner_device = device
        names = tensor_names(self.policy)
        self._torch_tensors = tensors_of(self.policy)
        optimizers = {"actor": self.actor.optimizer, "critic": self.critic.optimizer}
        coefficient = getattr(self, ENTROPY_COEFFICIENT, None)
        if isinstance(coefficient, torch.Tensor):
            names[id(coefficient)] = ENTROPY_COEFFICIENT
            self._torch_tensors[ENTROPY_COEFFICIENT] = coefficient
            optimizers["entropy"] = getattr(self, "ent_coef_optimizer")  # noqa: B009
        self._adams = {role: Adam(optimizer, names) for role, optimizer in optimizers.items()}
        self._acting = {
            name: self._torch_tensors[name]
            for name in {names[id(tensor)] for tensor in tensors_of(self.actor).values()}
        }
        self._learner: OffPolicyLearner | None = None
        self._stale = False
        self._unrecorded: tuple[int, Metrics] | None = None
        self._lower(names)
        self._update = jax.jit(named_for(device, self._all_steps), donate_argnums=0)

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Take gradient steps on minibatches from the replay buffer.

        Steps that leave the actor alone are not waited for: they go on while the environments
        step, and what they find is recorded after the next ones have begun.
        """
        self._update_learning_rate([adam.optimizer for adam in self._adams.values()])
        if self._learner is None:
            state = {role: adam.read() for role, adam in self._adams.items()}
            self._learner = put(
                OffPolicyLearner(copies(self._torch_tensors), state), self.learner_device
            )
        batches = self._minibatches(gradient_steps, batch_size)
        rate = np.float32(self.lr_schedule(self._current_progress_remaining))
        seed = np.uint32(np.random.randint(2**31))
        done = np.int32(self._n_updates)
        # NumPy's arrays follow the learner to its device, sooner than if they were put there.
        self._learner, acting, metrics = self._update(self._learner, (batches, rate, seed, done))
        self._record()  # what came before
        if not self._stale:
            publish()
        self._n_updates += gradient_steps
        self._stale = True
        self._unrecorded = (self._n_updates, metrics)
        if self._moves_actor(gradient_steps):
            for name, array in fetch(acting).items():
                self._acting[name].detach().numpy()[...] = array
            self._record()

    def refresh_policy(self) -> None:
        """Bring every torch tensor, optimiser and record up to date with what was learnt."""
        self._record()
        if self._learner is None or not self._stale:
            return
        learner = fetch(self._learner)
        for name, tensor in self._torch_tensors.items():
            tensor.detach().numpy()[...] = learner.tensors[name]
        for role, adam in self._adams.items():
            adam.write(learner.moments[role])
        self._stale = False

    def dump_logs(self) -> None:
        """Write what was recorded; see SB3."""
        self._record()
        super().dump_logs()

    def get_parameters(self) -> dict[str, dict[str, Any]]:
        """Return the state dictionaries of networks and optimisers, up to date."""
        self.refresh_policy()
        return super().get_parameters()

    def set_parameters(
        self,
        load_path_or_dict: str | dict[str, torch.Tensor],
        exact_match: bool = True,
        device: torch.device | str = "auto",
    ) -> None:
        """Take over state dictionaries; the next update starts from them."""
        super().set_parameters(load_path_or_dict, exact_match, device)
        self._learner = None

    def _sample_action(
        self, learning_starts: int, action_noise: ActionNoise | None = None, n_envs: int = 1
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        with torch_threads(acting_threads(self.observation_space)):
            return super()._sample_action(learning_starts, action_noise, n_envs)

    def _lower(self, names: Mapping[int, str]) -> None:
        """Prepare the networks' forward passes."""
        raise NotImplementedError

    def _moves_actor(self, steps: int) -> bool:
        """Return whether any of the last steps did."""
        del steps  # Each does.
        return True

    def _gradient_step(
        self, learner: OffPolicyLearner, batch: Batch, turn: Turn
    ) -> tuple[OffPolicyLearner, Metrics]:
        """Take one step on one minibatch."""
        raise NotImplementedError

    def _all_steps(
        self, learner: OffPolicyLearner, data: tuple[Batch, jax.Array, jax.Array, jax.Array]
    ) -> tuple[OffPolicyLearner, Tensors, Metrics]:
        """Take all steps of an update; metrics have shape (steps,)."""
        batches, rate, seed, done = data
        steps = len(batches["rewards"])
        keys = jax.random.split(jax.random.key(seed), steps)

        def step(
            learner: OffPolicyLearner, now: tuple[Batch, jax.Array, jax.Array]
        ) -> tuple[OffPolicyLearner, Metrics]:
            batch, key, index = now
            return self._gradient_step(learner, batch, Turn(rate, key, done + index + 1))

        learner, metrics = lax.scan(step, learner, (batches, keys, jnp.arange(steps)))
        return learner, {name: learner.tensors[name] for name in self._acting}, metrics

    def _minibatches(self, steps: int, size: int) -> Batch:
        """Sample the minibatches of all steps at once, shape (steps, size, ...)."""
        assert self.replay_buffer is not None
        sampled = sample(self.replay_buffer, steps * size, self._vec_normalize_env)

        def split(tensor: torch.Tensor) -> npt.NDArray[Any]:
            array = tensor.numpy()
            # Strided, so that each has its share of hindsight's goals, which come last.
            return np.ascontiguousarray(array.reshape(size, steps, *array.shape[1:]).swapaxes(0, 1))

        batches = {
            name: {key: split(part) for key, part in column.items()}
            if isinstance(column, dict)
            else split(column)
            for name, column in sampled._asdict().items()
            if column is not None
        }
        for name in ("rewards", "dones", "discounts"):
            if name in batches:
                batches[name] = batches[name][..., 0]
        return batches

    def _apply(
        self, learner: OffPolicyLearner, role: str, gradients: Parameters, rate: jax.Array
    ) -> OffPolicyLearner:
        """Move the tensors of one optimiser."""
        moved, moments = self._adams[role].step(
            self._parameters(learner, role), gradients, learner.moments[role], rate
        )
        return OffPolicyLearner({**learner.tensors, **moved}, {**learner.moments, role: moments})

    def _parameters(self, learner: OffPolicyLearner, role: str) -> Parameters:
        return {name: learner.tensors[name] for name in self._adams[role].names}

    def _record(self) -> None:
        """Log the mean of each metric; the actor's only over the steps that moved it."""
        if self._unrecorded is None:
            return
        (number, found), self._unrecorded = self._unrecorded, None
        metrics = fetch(found)
        acted = metrics.pop("acted", np.ones(len(metrics["critic_loss"]), dtype=bool))
        self.logger.record("train/n_updates", number, exclude="tensorboard")
        for name, values in metrics.items():
            counted = values[acted] if name in ("actor_loss", "ent_coef_loss") else values
            if counted.size:
                self.logger.record(f"train/{name}", np.mean(counted).item())


class DelayedActor(CompiledOffPolicy):
    """What TD3 and CrossQ share: only each ``policy_delay``-th step moves the actor."""

    policy_delay: int

    def _moves_actor(self, steps: int) -> bool:
        return self._n_updates % self.policy_delay < steps


def polyak(tensors: Parameters, targets: Mapping[str, str], share: jax.Array | float) -> Parameters:
    """Move target tensors towards those that they follow.

    Args:
        tensors: Of all networks.
        targets: Name of each target tensor, and of the one that it follows.
        share: Share of the followed one.
    """
    moved = {
        target: (1.0 - share) * tensors[target] + share * tensors[source]
        for target, source in targets.items()
    }
    return {**tensors, **moved}


def followed(
    names: Mapping[int, str], target: torch.nn.Module, source: torch.nn.Module
) -> dict[str, str]:
    """Return the name of each of a target network's parameters, and of the one it follows."""
    pairs = zip(target.parameters(), source.parameters(), strict=True)
    return {names[id(mine)]: names[id(theirs)] for mine, theirs in pairs}


def bootstrapped(batch: Batch, gamma: float, values: jax.Array) -> jax.Array:
    """Return the rewards plus the discounted values of what follows, shape (batch, outputs)."""
    discounts = batch.get("discounts", gamma) * (1.0 - batch["dones"])
    target: jax.Array = batch["rewards"][:, None] + discounts[:, None] * values
    return target
