"""Completing a bundle: the contract from its environment, and the ONNX graph after its check."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import gymnasium
from pydantic import JsonValue

from roboyard.errors import MissingDependencyError, PolicyError
from roboyard.optional import require
from roboyard.policies.bundle.layout import ONNX_PART
from roboyard.policies.bundle.locate import is_uri
from roboyard.policies.bundle.manifest import add_to_bundle
from roboyard.policies.bundle.policy_bundle import PolicyBundle
from roboyard.policies.contract import PolicyContract, complete_contract

if TYPE_CHECKING:
    from roboyard.policies.export.exporter import Exported
    from roboyard.policies.export.parity import Parity
    from roboyard.policies.loaded import LoadedPolicy

Format = Literal["onnx", "torchscript"]
MakeEnv = Callable[[], gymnasium.Env[Any, Any]]
"""Makes one environment of the kind that the policy was trained in."""

_log = logging.getLogger(__name__)


class Export(NamedTuple):
    """What an export made."""

    path: Path
    """The file: the bundle itself, another bundle, or a graph alone."""
    observations: int
    """Observations of real episodes on which graph and policy were compared."""
    largest_difference: float
    """Largest difference of their actions; see ``parity.difference`` for the unit."""
    exporter: str
    """What made the graph, with its version."""
    size: int
    """Size of the graph [bytes]."""


def export(
    bundle: str | Path,
    *,
    make_env: MakeEnv,
    form: Format = "onnx",
    output: str | Path | None = None,
    observations: int = 1000,
    trust_code: bool = False,
) -> Export:
    """Make a graph of a bundle's policy, compare it with the policy, and write it.

    Args:
        bundle: The bundle, a file or its address in a store.
        make_env: Makes the environment whose episodes give the observations to compare.
        form: ``onnx`` or ``torchscript``.
        output: For ``onnx`` by default the bundle itself, which gets the graph as a part; a name
            that ends in ``.zip`` makes another bundle, any other name a graph alone. For
            ``torchscript`` by default a ``.pt`` file beside the bundle. Needed for a bundle in a
            store, which is not written to.
        observations: How many observations of real episodes to compare.
        trust_code: As for ``PolicyBundle.policy``.

    Raises:
        PolicyError: The policy cannot be expressed as such a graph, or the graph acts differently;
            nothing is written then.
        MissingDependencyError: A package of the extras ``export`` and ``serve`` is missing.
        StorageError: It cannot be written; nothing is left behind.
    """
    target = _target(bundle, form, output)
    env = make_env()
    try:
        read = PolicyBundle.read(bundle)
        contract = complete_contract(read.contract, env, read.observation_space, read.action_space)
        policy = read.policy(trust_code=trust_code)
        read = read.with_contract(contract)
        return _write(read, _checked_graph(read, policy, env, form, observations), form, target)
    finally:
        env.close()


def complete_bundle(
    bundle: str | Path, *, make_env: MakeEnv, trust_code: bool = False, observations: int = 200
) -> Export | None:
    """Add to a fresh bundle what it lacks: the contract and, where it can be made, the graph.

    For the end of a run: without the packages of the extras ``export`` and ``serve``, or for a
    policy that no graph can express, it logs one line and returns None.

    Args:
        bundle: The bundle, which is replaced in one step.
        make_env: Makes one environment of the run.
        trust_code: As for ``PolicyBundle.policy``; a run's own code is trusted.
        observations: How many observations of real episodes to compare.

    Raises:
        PolicyError: The bundle is damaged.
        StorageError: It cannot be written; the old file stays.
    """
    path = Path(bundle)
    try:
        require("onnx", "export"), require("onnxruntime", "serve")
        return export(path, make_env=make_env, trust_code=trust_code, observations=observations)
    except MissingDependencyError:
        _log.info(
            "the bundle '%s' has no ONNX graph: pip install 'roboyard[export,serve]', then "
            "roboyard export",
            path,
        )
    except PolicyError as error:
        _log.warning("the bundle '%s' has no ONNX graph: %s", path, error)
    env = make_env()
    try:
        read = PolicyBundle.read(path)
        contract = complete_contract(read.contract, env, read.observation_space, read.action_space)
    finally:
        env.close()
    add_to_bundle(path, path, contract=_json(contract))
    return None


def verify_graph(
    bundle: PolicyBundle, *, make_env: MakeEnv, count: int, trust_code: bool = False
) -> Parity:
    """Compare the ONNX graph in a bundle with its network once more.

    Args:
        bundle: The bundle, which holds a graph.
        make_env: Makes the environment whose episodes give the observations.
        count: Observations to compare.
        trust_code: As for ``PolicyBundle.policy``.

    Raises:
        PolicyError: There is no graph, it is refused, or it acts differently.
    """
    from roboyard.policies.export.parity import check_parity
    from roboyard.policies.runtime.policy import RuntimePolicy

    actor = RuntimePolicy.open(bundle.source)
    policy = bundle.policy(trust_code=trust_code)
    env = make_env()
    try:
        return check_parity(policy, actor, env, count)
    finally:
        env.close()


def _target(bundle: str | Path, form: Format, output: str | Path | None) -> Path:
    if output is None and is_uri(bundle):
        raise PolicyError(
            f"'{bundle}' is in a store, which an export does not write to. Name a file of this "
            "machine for it (--output)."
        )
    path = Path(bundle)
    if output is None:
        return path.with_suffix(".pt") if form == "torchscript" else path
    if form == "torchscript" and Path(output).suffix == ".zip":
        raise PolicyError(f"'{output}': a bundle holds no TorchScript. Name a file ending in .pt.")
    return Path(output)


class _Graph(NamedTuple):
    exported: Exported
    parity: Parity


def _checked_graph(
    bundle: PolicyBundle,
    policy: LoadedPolicy,
    env: gymnasium.Env[Any, Any],
    form: Format,
    observations: int,
) -> _Graph:
    from roboyard.policies.export import exporter
    from roboyard.policies.export.parity import check_parity

    if form == "torchscript":
        exported = exporter.export_torchscript(bundle, policy)
        actor = exporter.TorchScriptPolicy(exported.content)
        return _Graph(exported, check_parity(policy, actor, env, observations))
    from roboyard.policies.runtime.policy import RuntimePolicy

    exported = exporter.export_onnx(bundle, policy)
    runtime = RuntimePolicy.from_onnx(exported.content)
    return _Graph(exported, check_parity(policy, runtime, env, observations))


def _write(bundle: PolicyBundle, graph: _Graph, form: Format, target: Path) -> Export:
    from roboyard.policies.export.exporter import OPSET
    from roboyard.storage.atomic import write_bytes

    content, exporter = graph.exported
    if form == "onnx" and target.suffix == ".zip":
        facts: dict[str, JsonValue] = {
            "opset": OPSET,
            "exporter": exporter,
            "parity": dict(graph.parity._asdict()),
        }
        contract = _json(bundle.contract)
        add_to_bundle(bundle.source, target, {ONNX_PART: content}, onnx=facts, contract=contract)
    else:
        write_bytes(target, content)
    parity = graph.parity
    return Export(target, parity.observations, parity.largest_difference, exporter, len(content))


def _json(contract: PolicyContract) -> JsonValue:
    value: JsonValue = contract.model_dump(mode="json")
    return value
