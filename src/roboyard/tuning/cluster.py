"""A Ray to run on: one that starts and stops with the command, or an existing cluster."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import platform
import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import NamedTuple

from roboyard import __version__
from roboyard.errors import CloudError, ConfigError
from roboyard.optional import require
from roboyard.resources import available_cores
from roboyard.tuning.experiment_definition import RunResources

_LOCAL_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Without it Ray replaces 127.0.0.1 by the machine's address and listens on all of them.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # By default workers, and what they start, yield to everything else on the machine (nice 15).
    "RAY_worker_niceness": "0",
}
_OBJECT_STORE_BYTES = 80 * 2**20
"""What passes through Ray is some hundred bytes a second; this is near Ray's minimum."""
_PATIENCE_S = 30.0
_GB = 1e9


class NodeFacts(NamedTuple):
    """What a node says of itself."""

    name: str
    roboyard: str
    python: str


def import_ray() -> ModuleType:
    """Return Ray.

    Raises:
        MissingDependencyError: It is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    return require("ray", "tune")


def check_installed() -> None:
    """Make sure that Ray is there, without importing it.

    Raises:
        MissingDependencyError: It is not.
    """
    if importlib.util.find_spec("ray") is None:
        import_ray()


@contextlib.contextmanager
def connected(address: str | None = None) -> Iterator[ModuleType]:
    """Yield Ray, connected; a local one is started and stopped.

    Args:
        address: An existing cluster, ``host:port`` or ``auto``; by default a new local Ray with
            the cores that this process may use, on the loopback interface only.

    Raises:
        CloudError: The cluster cannot be reached, or refuses the token.
        MissingDependencyError: Ray is not installed.
    """
    if address is None:
        _prepare_local()
        ray = import_ray()
        with _quiet():
            ray.init(
                address="local",
                num_cpus=available_cores(),
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _node_ip_address="127.0.0.1",
            )
        try:
            yield ray
        finally:
            ray.shutdown()
        return
    ray = import_ray()
    if not ray.is_initialized():
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise CloudError(
                f"the Ray cluster at '{address}' cannot be used: {first} Is it up ('ray status'), "
                "of the same Ray version, and is RAY_AUTH_TOKEN the cluster's?"
            ) from error
        try:
            yield ray
        finally:
            ray.shutdown()
        return
    yield ray


def check_resources(ray: ModuleType, wanted: RunResources, patience_s: float = _PATIENCE_S) -> None:
    """Make sure that some node can hold a run; Ray itself would wait for ever.

    Raises:
        ConfigError: After ``patience_s`` there is none; the message says what there is.
    """
    needs = ray_resources(wanted)
    deadline = time.monotonic() + patience_s
    while True:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if any(all(node.get(k, 0.0) >= v for k, v in needs.items()) for node in nodes):
            return
        if time.monotonic() > deadline or not _may_grow(ray):
            raise ConfigError(
                f"no node has what each run needs ({_amounts(needs)}). There are {len(nodes)} "
                f"nodes: {'; '.join(_amounts(node) for node in nodes)}. "
                "Ask for less under resources, or add a node."
            )
        time.sleep(0.5)


def check_nodes(ray: ModuleType, store: str, record: str) -> None:
    """Make sure that all nodes have this Roboyard and Python, and reach the store.

    Raises:
        ConfigError: One does not; the message names it.
    """
    probe = ray.remote(num_cpus=0, max_retries=0)(probe_node)
    answers = {}
    for node in ray.nodes():
        if node["Alive"]:
            where = _on_node(node["NodeID"])
            answers[probe.options(scheduling_strategy=where).remote(store, record)] = node
    mine = NodeFacts("this machine", __version__, platform.python_version())
    for answer, node in answers.items():
        name = f"node '{node['NodeManagerHostname']}' ({node['NodeManagerAddress']})"
        try:
            facts, problem = ray.get(answer, timeout=60.0)
        except ray.exceptions.RayError as error:
            first = str(error).strip().splitlines()[-1]
            raise ConfigError(f"{name} cannot run Roboyard: {first}") from error
        for what, theirs, ours in (
            ("Roboyard", facts.roboyard, mine.roboyard),
            ("Python", facts.python, mine.python),
        ):
            if theirs != ours:
                raise ConfigError(
                    f"{name} has {what} {theirs}, this machine {ours}; install the same one on all."
                )
        if problem:
            raise ConfigError(f"{name} cannot reach the store '{store}': {problem}")


def probe_node(store: str, record: str) -> tuple[NodeFacts, str]:
    """Return what the node is, and why it does not see a record in the store; runs on the node."""
    import socket

    from roboyard.errors import RoboyardError
    from roboyard.storage import open_store

    facts = NodeFacts(socket.gethostname(), __version__, platform.python_version())
    try:
        found = open_store(store).stat(record)
    except RoboyardError as error:
        return facts, str(error)
    missing = "it does not see this study there; give a shared folder or s3://bucket/prefix."
    return facts, "" if found else missing


def draining_nodes() -> set[str]:
    """Return the ids of nodes that are to go away, by Ray's own record of drained nodes."""
    from ray._private.state import state

    return set(state.get_draining_nodes())


def ray_resources(wanted: RunResources) -> dict[str, float]:
    """Return resources as Ray names them."""
    needs = {"CPU": wanted.cpus}
    if wanted.gpus:
        needs["GPU"] = wanted.gpus
    if wanted.memory_gb:
        needs["memory"] = wanted.memory_gb * _GB
    return needs


def _on_node(node_id: str) -> object:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node_id, soft=False)


def _may_grow(ray: ModuleType) -> bool:
    """Return whether nodes may still come: a local Ray stays as it is."""
    return bool(ray.get_runtime_context().gcs_address.rpartition(":")[0] != "127.0.0.1")


def _amounts(resources: Mapping[str, float]) -> str:
    shown = {"CPU": "{:g} cpus", "GPU": "{:g} gpus"}
    parts = [text.format(resources[key]) for key, text in shown.items() if resources.get(key)]
    if resources.get("memory"):
        parts.append(f"{resources['memory'] / _GB:.1f} GB of memory")
    return ", ".join(parts) or "nothing"


def _prepare_local() -> None:
    """Set what Ray reads when it is imported; a Ray that is imported already has its own."""
    if "ray" not in sys.modules:
        os.environ.update(_LOCAL_ENVIRONMENT)
        # Given here, Ray does not write a token into the home folder.
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def node_names(nodes: Sequence[Mapping[str, object]]) -> dict[str, str]:
    """Return the names of nodes by their ids."""
    return {str(node["NodeID"]): str(node["NodeManagerHostname"]) for node in nodes}
