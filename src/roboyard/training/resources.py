"""Everything that one process of a run holds open, built from the config."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.her import HerReplayBuffer

from roboyard.agents.backends import set_up_learner
from roboyard.agents.factory import build_agent
from roboyard.agents.fit import check_family
from roboyard.agents.memory import check_memory
from roboyard.agents.torch.threads import OwnThreads, torch_threads
from roboyard.config.agents import CustomAgent
from roboyard.config.schema import ExperimentConfig
from roboyard.envs.vector.shared_memory import InfoMode
from roboyard.errors import ConfigError
from roboyard.runs.directory import RunDirectory
from roboyard.runs.ownership import RunOwnership
from roboyard.runs.provenance import judge_segment
from roboyard.seeds import derive_seeds
from roboyard.training.callbacks import RunCallbackList, StopRequest
from roboyard.training.callbacks.factory import CallbackSet, Records, assemble
from roboyard.training.callbacks.metrics import make_logger
from roboyard.training.checkpoints.parts import (
    CheckpointPart,
    EnvironmentsPart,
    GeneratorsPart,
    LearnerPart,
    LoopPart,
    NormalizerPart,
    ReplayPart,
)
from roboyard.training.checkpoints.parts.callbacks import AlgorithmPart, CallbacksPart
from roboyard.training.checkpoints.store import (
    CheckpointStore,
    CheckpointSubject,
    FoundCheckpoint,
    Retention,
    load_parts,
)
from roboyard.training.data_parallel.group import Group
from roboyard.training.device import choose_device, choose_threads, resolve_backend
from roboyard.training.envs.stack import make_training_envs, seed_next_reset
from roboyard.training.seeding import seed_everything

_LOG = logging.getLogger(__name__)

INEXACT = (
    "not exact, because the environment '{}' does not repeat itself, so its episodes could not go "
    "on where the run was interrupted and new ones began: the run is not bit for bit the one that "
    "was never interrupted. Give it snapshot() and restore(), as BaseRobotEnv has, to make it so."
)


@dataclasses.dataclass
class TrainingSession:
    """The open parts of a run: environments, algorithm, callbacks, files."""

    config: ExperimentConfig
    custody: RunOwnership
    algorithm: BaseAlgorithm
    crew: CallbackSet
    parts: dict[str, CheckpointPart]
    checkpoints: CheckpointStore
    stop: StopRequest

    @property
    def run(self) -> RunDirectory:
        """The folder that is worked in."""
        return self.custody.run

    @property
    def conductor(self) -> RunCallbackList:
        """The callback that the algorithm sees."""
        return self.crew.conductor

    @property
    def step(self) -> int:
        """Control steps done."""
        return self.algorithm.num_timesteps

    @property
    def notes(self) -> tuple[str, ...]:
        """Limits that the user should know."""
        return self.crew.exactness.notes

    def continue_from(self, found: FoundCheckpoint) -> None:
        """Arrange that training starts in the state of a checkpoint."""
        if self.config.train.threads == "auto":
            # Another number of threads rounds differently, and this machine may have others.
            set_up_learner(self.algorithm, found.manifest.threads)
            torch.set_num_threads(found.manifest.threads)  # until the session ends
        self.checkpoints.discard_after(found.manifest.step)
        self.crew.records.truncate_after(found.manifest.step)
        self.crew.checkpoint.last_step = found.manifest.step
        self.conductor.restore = lambda: self._restore(found)
        # Until the reasons are read.
        self.crew.checkpoint.exact = found.manifest.exact

    def start_over(self) -> None:
        """Arrange that a run without any checkpoint starts at its first step again."""
        self.crew.records.truncate_after(-1)

    def _restore(self, found: FoundCheckpoint) -> None:
        exactness = self.crew.exactness
        exactness.begin()
        load_parts(self.parts, found)
        environments = self.parts["environments"]
        assert isinstance(environments, EnvironmentsPart)
        if self.conductor.peers is not None:
            self.conductor.peers.tell("restore", found, environments.problem)
        exactness.compare(found.manifest)
        if not environments.exact:
            _LOG.warning("at step %d, %s.", found.manifest.step, environments.problem)
            exactness.past["environment"] = INEXACT.format(self.config.env.id)
        go_on(self.config, self.algorithm, environments, found)
        self._judge(was_exact=found.manifest.exact)
        _LOG.info("continuing from the checkpoint of step %d.", found.manifest.step)

    def _judge(self, *, was_exact: bool) -> None:
        """Say whether the run is still the one that was never interrupted."""
        reasons = tuple(self.crew.exactness.past.values())
        self.crew.checkpoint.exact = was_exact and not reasons
        self._tell()
        judge_segment(self.run, reasons)
        for reason in reasons:
            _LOG.warning("%s", reason)

    def _tell(self) -> None:
        self.crew.status.notes = self.notes


def go_on(
    config: ExperimentConfig,
    algorithm: BaseAlgorithm,
    environments: EnvironmentsPart,
    found: FoundCheckpoint,
) -> None:
    """Do what is left to do once the parts of a checkpoint are back."""
    if not environments.exact:
        _begin_new_episodes(config, algorithm, found.manifest.step)
    if found.manifest.final and getattr(algorithm, "use_sde", False):
        # A final checkpoint is older than the noise of the rollout that now follows.
        actor = getattr(algorithm, "actor", None) or algorithm.policy
        actor.reset_noise(algorithm.n_envs)  # type: ignore[operator]


def _begin_new_episodes(config: ExperimentConfig, algorithm: BaseAlgorithm, step: int) -> None:
    # Where episodes cannot go on, at least do not repeat those that the run began with.
    count = config.env.num_envs
    assert algorithm.env is not None
    seed_next_reset(algorithm.env, derive_seeds(config.seed, f"envs-after-{step}", count))
    buffer = getattr(algorithm, "replay_buffer", None)
    if isinstance(buffer, HerReplayBuffer):
        buffer.truncate_last_trajectory()
    algorithm._last_obs = algorithm.env.reset()  # type: ignore[assignment]
    algorithm._last_episode_starts = np.ones(count, dtype=bool)
    normalizer = algorithm.get_vec_normalize_env()
    if normalizer is not None:
        algorithm._last_original_obs = normalizer.get_original_obs()


@contextlib.contextmanager
def open_session(
    config: ExperimentConfig,
    custody: RunOwnership,
    stop: StopRequest,
    extra: Sequence[BaseCallback] = (),
    group: Group | None = None,
) -> Iterator[TrainingSession]:
    """Build a session and close it again, whatever happens.

    Args:
        config: What to train.
        custody: The right to drive the run, and its folder.
        stop: Where an end of the run is asked for.
        extra: Callbacks besides those that the config asks for.
        group: The processes that follow this one, if there are any.

    Raises:
        ConfigError: The environment, the agent or a callback is wrong.
    """
    with contextlib.ExitStack() as stack:
        infos: InfoMode = "all" if _wants_all_infos(config, extra) else "ends"
        if group is not None:
            group.tell("train", config, infos)
            stack.callback(group.dismiss)
        config, algorithm, venv = open_learner(config, stack, infos, group)
        records = Records.open(config, custody.run)
        stack.callback(records.close)
        algorithm.set_logger(make_logger(records.metric_writers))
        checkpoints = CheckpointStore(
            custody.run.checkpoints,
            CheckpointSubject(config.agent.algorithm, config.env.id),
            Retention(config.checkpoint.keep_last, config.checkpoint.keep_every_steps),
        )
        crew = assemble(
            config,
            custody,
            algorithm,
            records=records,
            checkpoints=checkpoints,
            stop=stop,
            extra=extra,
        )
        stack.callback(crew.conductor.close)
        parts = make_parts(algorithm, venv, crew.conductor)
        parts["exactness"] = crew.exactness
        crew.checkpoint.parts = parts
        crew.conductor.peers = group
        session = TrainingSession(config, custody, algorithm, crew, parts, checkpoints, stop)
        crew.exactness.on_new = session._tell
        yield session


def open_learner(
    config: ExperimentConfig,
    stack: contextlib.ExitStack,
    infos: InfoMode,
    group: Group | None = None,
) -> tuple[ExperimentConfig, BaseAlgorithm, VecEnv]:
    """Build environments and algorithm, which are the same in every process of a group.

    Returns:
        The config with the backend that is used, the algorithm and its environments.

    Raises:
        ConfigError: The environment or the agent is wrong.
    """
    seed_everything(derive_seeds(config.seed, "training", 1)[0])
    venv = make_training_envs(config, infos, group)
    stack.callback(_close_quietly, venv)
    config = resolve_backend(config, venv.observation_space)
    algorithm = _build_algorithm(config, venv, stack)
    if group is not None:
        if not (isinstance(algorithm, OwnThreads) and algorithm.can_share):
            raise ConfigError(
                "train.data_parallel.workers must be 1 here: the networks of "
                f"{config.agent.algorithm} have modules or an optimiser whose updates cannot be "
                "shared among processes."
            )
        algorithm.peers = group
    return config, algorithm, venv


def make_parts(
    algorithm: BaseAlgorithm, venv: VecEnv, conductor: RunCallbackList
) -> dict[str, CheckpointPart]:
    """Return the owners of everything that a run's future depends on, in loading order."""
    parts = make_learner_parts(algorithm, venv)
    # Generators last: restoring the others must not leave a trace in them.
    last = {name: parts.pop(name) for name in ("algorithm's memory", "generators")}
    return {**parts, "callbacks": CallbacksPart(conductor.callbacks), **last}


def make_learner_parts(algorithm: BaseAlgorithm, venv: VecEnv) -> dict[str, CheckpointPart]:
    """Return those of them that every process of a group has."""
    environments = EnvironmentsPart(venv)
    return {
        "environments": environments,
        "networks and optimisers": LearnerPart(algorithm),
        "loop": LoopPart(algorithm, environments),
        "normaliser": NormalizerPart(venv, environments),
        "replay buffer": ReplayPart(algorithm),
        "algorithm's memory": AlgorithmPart(algorithm),
        "generators": GeneratorsPart(algorithm),
    }


def _wants_all_infos(config: ExperimentConfig, extra: Sequence[BaseCallback]) -> bool:
    """Return whether something may read the infos of every step: a callback, or hindsight."""
    readers = [c for c in extra if getattr(c, "reads_all_infos", True)]
    has_her = getattr(config.agent, "her", None) is not None
    return bool(config.callbacks or readers or has_her or isinstance(config.agent, CustomAgent))


def _build_algorithm(
    config: ExperimentConfig, venv: VecEnv, stack: contextlib.ExitStack
) -> BaseAlgorithm:
    check_family(config)
    device, reason = choose_device(config, venv.observation_space)
    threads = choose_threads(config, venv.observation_space, device)
    stack.enter_context(torch_threads(threads))
    check_memory(config.agent, venv.observation_space, venv.action_space)
    algorithm = build_agent(config.agent, venv, seed=config.seed, device=device)
    parameters = sum(parameter.numel() for parameter in algorithm.policy.parameters())
    _LOG.info(
        "%s (%s) with %s parameters on %s (%s), %d learner threads.",
        config.agent.algorithm,
        config.agent.backend,
        f"{parameters:,}",
        device,
        reason,
        threads,
    )
    return algorithm


def _close_quietly(venv: VecEnv) -> None:
    # A dead worker has said what happened already; closing the others must go on.
    with contextlib.suppress(EOFError, ConnectionError):
        venv.close()
