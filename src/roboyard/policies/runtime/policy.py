"""Acting with a policy bundle on NumPy and onnxruntime alone, for robots and servers.

Imports neither torch nor stable_baselines3, pybullet, gymnasium or pydantic::

    policy = RuntimePolicy.open("policy.zip")
    result = policy.act(observations)  # the batch comes first
    result.actions
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from roboyard.errors import PolicyError
from roboyard.optional import require
from roboyard.policies.bundle.layout import MANIFEST_PART, ONNX_PART, parse_manifest, verify_digests
from roboyard.policies.bundle.locate import read_source
from roboyard.policies.bundle.zip_archive import read_archive
from roboyard.policies.runtime.contract_reader import (
    METADATA_KEY,
    ArraySpec,
    Contract,
    EntrySpec,
    Noise,
    NotFiniteError,
    ObservationError,
    contract_from_text,
)
from roboyard.policies.runtime.observation_check import Observation, as_arrays
from roboyard.policies.runtime.onnx_guard import check_model
from roboyard.policies.runtime.ort_session import make_session

__all__ = [
    "ActResult",
    "ArraySpec",
    "Contract",
    "EntrySpec",
    "Noise",
    "ObservationError",
    "RuntimePolicy",
]

State = tuple[np.ndarray, ...]
"""Recurrent state: arrays of shape (layers, batch, width)."""

MAX_FILE_BYTES = 2 * 1024**3
"""Largest ONNX file [bytes]; the format itself ends there."""


class ActResult(NamedTuple):
    """Actions and the recurrent state after them."""

    actions: np.ndarray
    """Shape (batch, ...), within the action space."""
    state: State | None
    """To pass to the next call; None without memory."""


class RuntimePolicy:
    """A policy that acts; make one with ``open``. Calls from several threads are safe."""

    def __init__(self, contract: Contract, version: str, session: Any) -> None:  # noqa: ANN401
        """Put the parts together.

        Args:
            contract: What the graph reads and writes.
            version: Digest of the file that it came from.
            session: onnxruntime's ``InferenceSession`` of the graph.
        """
        self.contract = contract
        self.version = version
        self._session = session
        self._outputs = ["action", *(f"state_out.{i}" for i in range(len(contract.state_shapes)))]

    @classmethod
    def open(cls, source: str | Path, *, threads: int = 1) -> Self:
        """Open a policy bundle that holds an ONNX graph, or an exported ``.onnx`` file.

        The file may come from a stranger: its digests are checked, and the graph is loaded only
        if it is self-contained and made of the operators that policies are made of.

        Args:
            source: The file, or its address in a store, such as ``s3://bucket/policy.zip``.
            threads: Threads for one call; 1 is the fastest for small networks.

        Raises:
            PolicyError: It is missing, damaged, holds no ONNX graph, or one that is refused.
            StorageError: The store has no such object or cannot be read.
            MissingDependencyError: onnxruntime is not installed.
        """
        content = _read(source)
        try:
            return cls._build(content, threads)
        except PolicyError as error:
            raise PolicyError(f"'{source}': {error}") from error

    @classmethod
    def from_onnx(cls, graph: bytes, *, threads: int = 1) -> Self:
        """Open the content of an exported ONNX file; as ``open`` otherwise."""
        return cls._build(_Content(graph, _short_digest(graph)), threads)

    @classmethod
    def _build(cls, content: _Content, threads: int) -> Self:
        facts = check_model(content.graph)
        if METADATA_KEY not in facts.metadata:
            raise PolicyError("the ONNX graph has no contract; roboyard export writes one.")
        contract = contract_from_text(facts.metadata[METADATA_KEY])
        session = make_session(require("onnxruntime", "serve"), content.graph, contract, threads)
        return cls(contract, content.version, session)

    @property
    def name(self) -> str:
        """Name of the experiment that trained the policy."""
        return self.contract.name

    def validate(self, observation: Observation) -> None:
        """Refuse a batch of observations that does not fit the contract.

        Raises:
            ObservationError: A name, shape, type or value is wrong; the message names the entry.
        """
        as_arrays(self.contract, observation)

    def act(
        self,
        observation: Observation,
        *,
        state: State | None = None,
        episode_start: np.ndarray | None = None,
        seed: int | Sequence[int | None] | None = None,
    ) -> ActResult:
        """Choose actions for a batch of observations, not normalised.

        Args:
            observation: Shape (batch, ...), or such an array for each key.
            state: What the previous call returned; None at the start.
            episode_start: Which observations begin an episode, shape (batch,); a recurrent policy
                forgets its state there.
            seed: Makes the actions samples, the same for the same seed; one for the batch or one
                (or None, for no sampling) for each row. None gives the likeliest actions.

        Raises:
            ObservationError: The observation does not fit the contract.
            PolicyError: The state does not fit, or the network's answer is not finite.
        """
        return self._run(as_arrays(self.contract, observation), state, episode_start, seed)

    def predict(
        self,
        observation: Observation,
        state: State | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> ActResult:
        """Act as stable_baselines3's ``PolicyPredictor``; bounds of observations are not checked.

        Args:
            observation: One observation or a batch.
            state: What the previous call returned; None at the start.
            episode_start: Which observations begin an episode, shape (batch,).
            deterministic: Take the likeliest action instead of a sample, whose seed is drawn from
                NumPy's global generator.

        Raises:
            ObservationError: The observation does not fit the contract.
        """
        single = self._is_single(observation)
        if single and isinstance(observation, Mapping):
            observation = {key: np.asarray(value)[None] for key, value in observation.items()}
        elif single:
            observation = np.asarray(observation)[None]
        arrays = as_arrays(self.contract, observation, check_values=False)
        seed = None if deterministic else int(np.random.randint(2**31))
        result = self._run(arrays, state, episode_start, seed)
        return ActResult(result.actions[0], result.state) if single else result

    def _is_single(self, observation: Observation) -> bool:
        spec = next(iter(self.contract.observations.values()))
        part = observation.get(spec.key) if isinstance(observation, Mapping) else observation
        return part is not None and np.ndim(part) == len(spec.shape)

    def _run(
        self,
        arrays: Mapping[str, np.ndarray],
        state: State | None,
        episode_start: np.ndarray | None,
        seed: int | Sequence[int | None] | None,
    ) -> ActResult:
        contract = self.contract
        batch = len(next(iter(arrays.values())))
        feed = {contract.input_name(key): array for key, array in arrays.items()}
        if contract.noise is not None:
            feed["noise"] = _draw(contract.noise, batch, seed)
        if contract.is_recurrent:
            feed |= _memory(contract, batch, state, episode_start)
        try:
            actions, *after = self._session.run(self._outputs, feed)
        except Exception as error:  # onnxruntime has no common base class of its errors.
            reason = " ".join(str(error).split())[:300]
            raise PolicyError(f"policy '{self.name}' cannot act: {reason}") from error
        if not all(_is_finite(array) for array in (actions, *after)):
            raise NotFiniteError(
                f"policy '{self.name}' gave an action that is not finite, or such a state."
            )
        return ActResult(actions, tuple(after) if after else None)


def _is_finite(array: np.ndarray) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


class _Content(NamedTuple):
    """What a file holds."""

    graph: bytes
    version: str


def _short_digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _read(source: str | Path) -> _Content:
    """Return the verified graph of a bundle, or of an ONNX file, and the file's short digest."""
    if str(source).endswith(".onnx"):
        graph = read_source(source, MAX_FILE_BYTES)
        return _Content(graph, _short_digest(graph))
    parts = read_archive(source)
    if MANIFEST_PART not in parts:
        raise PolicyError(f"'{source}' is not a policy bundle: it has no {MANIFEST_PART}.")
    text = parts.pop(MANIFEST_PART)
    listed = parse_manifest(source, text).get("parts")
    if not isinstance(listed, dict) or not all(isinstance(v, dict) for v in listed.values()):
        raise PolicyError(f"'{source}' is damaged: {MANIFEST_PART}: parts is not a mapping.")
    verify_digests(source, {name: str(v.get("sha256")) for name, v in listed.items()}, parts)
    if ONNX_PART not in parts:
        raise PolicyError(
            f"'{source}' holds no ONNX graph. Add one with: roboyard export {source} --format onnx"
        )
    # The manifest lists the digests of all parts, so its own digest stands for the whole.
    return _Content(parts[ONNX_PART], _short_digest(text))


def _draw(noise: Noise, batch: int, seed: int | Sequence[int | None] | None) -> np.ndarray:
    """Return the graph's random numbers; zeros give the likeliest action."""
    values = np.zeros((batch, noise.size), dtype=np.float32)
    if seed is None:
        return values
    if isinstance(seed, Sequence):
        if len(seed) != batch:
            raise PolicyError(f"{len(seed)} seeds are given for {batch} observations.")
        for row, own in zip(values, seed, strict=True):
            if own is not None:
                row[:] = _sample(noise.distribution, own, row.shape)
    else:
        values[:] = _sample(noise.distribution, seed, values.shape)
    return values


def _sample(distribution: str, seed: int, shape: tuple[int, ...]) -> np.ndarray:
    generator = np.random.default_rng(seed)
    if distribution == "normal":
        return generator.standard_normal(shape)
    return getattr(generator, distribution)(size=shape)  # type: ignore[no-any-return]


def _memory(
    contract: Contract, batch: int, state: State | None, episode_start: np.ndarray | None
) -> dict[str, np.ndarray]:
    shapes = [(layers, batch, width) for layers, _, width in contract.state_shapes]
    if state is None:
        state = tuple(np.zeros(shape, dtype=np.float32) for shape in shapes)
    given = [np.asarray(part, dtype=np.float32) for part in state]
    if [part.shape for part in given] != shapes or not all(np.isfinite(p).all() for p in given):
        found = [part.shape for part in given]
        raise PolicyError(f"the state must be finite arrays of shapes {shapes}, not {found}.")
    starts = np.zeros(batch) if episode_start is None else np.asarray(episode_start)
    if starts.shape != (batch,):
        raise PolicyError(f"episode_start must have the shape ({batch},), not {starts.shape}.")
    feed = {f"state.{index}": part for index, part in enumerate(given)}
    return feed | {"episode_start": (starts != 0).astype(np.float32)}
