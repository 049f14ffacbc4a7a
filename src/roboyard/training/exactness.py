"""What is known of whether a run, continued, is bit for bit the run that was never interrupted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from roboyard.config.schema import ExperimentConfig
from roboyard.envs.memory import Changes, offers_memory
from roboyard.runs.provenance import host_facts, library_versions
from roboyard.training.callbacks.base import Boundary, RunCallback
from roboyard.training.checkpoints.manifest import CheckpointManifest
from roboyard.training.checkpoints.parts.base import read_json, write_json
from roboyard.training.checkpoints.parts.callbacks import LIBRARIES, own_names
from roboyard.training.repetition import RepetitionCallback

_LOG = logging.getLogger(__name__)

FILE: Final = "exactness.json"
_CALLBACK_NAMES: Final = {
    "model", "n_calls", "num_timesteps", "verbose", "locals", "globals", "parent",
}  # fmt: skip
_MODULE_NAMES: Final = {"_parameters", "_buffers", "_modules", "training"}
_CONTRIB: Final = {"TRPO", "RecurrentPPO", "ARS", "TQC", "CrossQ"}
_UNCHECKED: Final = "unchecked"
_WITHOUT: Final = "and offers no state() and load_state()"


class ExactnessCallback(RunCallback):
    """Keeps the reasons why a run is not, or would not be, the uninterrupted one.

    It is a part of every checkpoint too, so that a continuation knows them.
    """

    def __init__(
        self, config: ExperimentConfig, algorithm: BaseAlgorithm, repetition: RepetitionCallback
    ) -> None:
        """Judge a run.

        Args:
            config: What is trained.
            algorithm: With what.
            repetition: Knows whether the environments repeat themselves.
        """
        super().__init__()
        self.past: dict[str, str] = {}
        """Why the run so far is not the uninterrupted one, by subject."""
        self.ahead: dict[str, str] = {}
        """Why a continuation from here would not be."""
        self.callbacks: Sequence[BaseCallback] = ()
        """Those whose attributes may matter, set before training starts."""
        self.on_new: Callable[[], None] = lambda: None
        """Told when there is a new reason."""
        self._config = config
        self._algorithm = algorithm
        self._repetition = repetition
        self._watched: list[tuple[str, Changes]] | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know: a line for each reason."""
        ahead = {subject: text for subject, text in self.ahead.items() if subject != _UNCHECKED}
        return (
            *self.past.values(),
            *(_if_continued(text) for subject, text in ahead.items() if subject not in self.past),
        )

    def on_boundary(self, boundary: Boundary) -> None:
        """Remember what attributes hold when training starts."""
        del boundary  # Unused.
        if self._watched is None:
            self.begin()

    def begin(self) -> None:
        """Remember what attributes hold now, before anything has happened."""
        watched = [*_watched_callbacks(self.callbacks), *_watched_algorithm(self._algorithm)]
        self._watched = watched

    def save(self, folder: Path) -> None:
        """Look for reasons and write ``exactness.json``."""
        known = {_UNCHECKED, *self.ahead, *self.past}
        self.ahead = dict(self._found())
        new = [text for key, text in self.ahead.items() if key not in known]
        if new:
            _LOG.warning("%s.", _if_continued("; ".join(new)))
            self.on_new()
        device = str(self._algorithm.device)
        write_json(folder / FILE, {"past": self.past, "ahead": self.ahead, "device": device})

    def load(self, folder: Path) -> None:
        """Take over the reasons: what was ahead of the checkpoint is the past now."""
        if not (folder / FILE).exists():
            self.past[_UNCHECKED] = _not_exact("the version that wrote it did not check it")
            return
        saved: Any = read_json(folder / FILE)
        self.past = dict(saved["past"])
        self.past |= {key: _not_exact(text) for key, text in saved["ahead"].items()}
        if saved["device"] != (now := str(self._algorithm.device)):
            self.past["device"] = _not_exact(f"it ran on {saved['device']}, and runs on {now} now")

    def compare(self, manifest: CheckpointManifest) -> None:
        """Note what rounds differently here than where a checkpoint was written."""
        found = differences(manifest, self._config)
        if found:
            self.past["installation"] = _not_exact("; ".join(found))

    def _found(self) -> Iterator[tuple[str, str]]:
        for subject, changes in self._watched or ():
            if names := changes.names():
                yield subject, f"{subject} changes its attributes ({', '.join(names)}) {_WITHOUT}"
        yield from self._about_environments()
        if self._algorithm.device.type != "cpu":
            device = self._algorithm.device
            yield "device", f"sums on the device '{device}' do not always come out the same"

    def _about_environments(self) -> Iterator[tuple[str, str]]:
        name, repetition = self._config.env.id, self._repetition
        forgotten = _forgotten(self._algorithm.env)
        if forgotten:
            yield "wrappers", forgotten
        elif repetition.problem:
            yield (
                "environment",
                (
                    f"the environment '{name}' does not repeat itself ({repetition.problem}); give "
                    "what has a memory state() and load_state()"
                ),
            )
        elif not repetition.count:
            yield _UNCHECKED, "no stretch of it was repeated before it was interrupted"


def differences(manifest: CheckpointManifest, config: ExperimentConfig) -> list[str]:
    """Return what a continuation may round differently by than the checkpoint's own process.

    Args:
        manifest: The checkpoint's.
        config: The run's; libraries that it does not use are left out.
    """
    found, now = [], library_versions()
    for name, theirs in manifest.versions.items():
        ours = now.get(name, "not installed")
        if _used(name, config) and _relevant(name, theirs) != _relevant(name, ours):
            found.append(f"{name} was {theirs} and is {ours}")
    before, here = str(manifest.host.get("kernels", "")), str(host_facts()["kernels"])
    if before and before != here:
        lost, new = set(before.split()) - set(here.split()), set(here.split()) - set(before.split())
        found.append(
            f"the processor has other kernels (without {' '.join(sorted(lost)) or 'any'}, with "
            f"{' '.join(sorted(new)) or 'no'} new)"
        )
    threads = torch.get_num_threads()
    if manifest.threads != threads:
        found.append(f"torch had {manifest.threads} threads and has {threads}")
    return found


def _watched_algorithm(algorithm: BaseAlgorithm) -> Iterator[tuple[str, Changes]]:
    name = type(algorithm).__name__
    if not _is_known(algorithm) and not offers_memory(algorithm):
        ignored = vars(algorithm).keys() - own_names(algorithm)
        yield f"the algorithm '{name}'", Changes(algorithm, ignored)
    buffer = getattr(algorithm, "replay_buffer", None)
    if buffer is not None and not _is_known(buffer):
        arrays = {n for n, value in vars(buffer).items() if hasattr(value, "__array__")}
        saved = {"pos", "full", "observations", "next_observations", *arrays}
        yield f"the replay buffer '{type(buffer).__name__}'", Changes(buffer, saved)
    for module in algorithm.policy.modules():
        if not _is_known(module):
            yield f"the network '{type(module).__name__}'", Changes(module, _MODULE_NAMES)


def _watched_callbacks(callbacks: Iterable[BaseCallback]) -> Iterator[tuple[str, Changes]]:
    for callback in callbacks:
        inner = _inner(callback)
        yield from _watched_callbacks(each for group in inner.values() for each in group)
        if not _is_known(callback, ("roboyard.",)) and not _offers(callback):
            name = f"{type(callback).__module__}:{type(callback).__qualname__}"
            yield f"the callback '{name}'", Changes(callback, _CALLBACK_NAMES | inner.keys())


def _inner(callback: BaseCallback) -> dict[str, list[BaseCallback]]:
    """Return the callbacks that a callback holds, by attribute."""
    found = {}
    for name, value in vars(callback).items():
        items = value if isinstance(value, list | tuple) else [value]
        held = [item for item in items if isinstance(item, BaseCallback)]
        if held and name != "parent":
            found[name] = held
    return found


def _offers(callback: BaseCallback) -> bool:
    if isinstance(callback, RunCallback):
        return type(callback).state is not RunCallback.state
    return offers_memory(callback)


def _is_known(owner: object, modules: tuple[str, ...] = LIBRARIES) -> bool:
    return f"{type(owner).__module__}.".startswith(modules)


def _forgotten(venv: VecEnv | None) -> str:
    if venv is None or not venv.has_attr("forgotten"):
        return ""
    return str(venv.env_method("forgotten", indices=[0])[0])


def _used(library: str, config: ExperimentConfig) -> bool:
    if library == "jax":
        return config.agent.backend == "jax"
    if library == "sb3-contrib":
        return config.agent.algorithm in _CONTRIB or ":" in config.agent.algorithm
    return True


def _relevant(library: str, version: str) -> str:
    """Return the part of a version that can change numbers: of Python's, not the last."""
    return version.rpartition(".")[0] if library == "python" else version


def _not_exact(text: str) -> str:
    return text if text.startswith("not exact, because ") else f"not exact, because {text}"


def _if_continued(text: str) -> str:
    return f"a continuation would not be exact, because {text}"
