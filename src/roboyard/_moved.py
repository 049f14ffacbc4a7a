"""Old module names, which keep working for one release with a warning.

Configs, checkpoints and users' code name modules (``"module:Attr"``, pickled classes, imports).
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# Below ``roboyard``: where a module was in 0.1, and where it is.
MOVED = {
    "envs.lockstep": "envs.vector.lockstep",
    "envs.replay": "envs.episode_log",
    "envs.shared": "envs.vector.shared_memory",
    "envs.shared.calls": "envs.vector.shared_memory.methods",
    "envs.shared.channel": "envs.vector.shared_memory.channel",
    "envs.shared.choose": "envs.vector.shared_memory.worker_count",
    "envs.shared.exchange": "envs.vector.shared_memory.requests",
    "envs.shared.failure": "envs.vector.shared_memory.failure",
    "envs.shared.layout": "envs.vector.shared_memory.layout",
    "envs.shared.lifeline": "envs.vector.shared_memory.parent_death",
    "envs.shared.notes": "envs.vector.shared_memory.infos",
    "envs.shared.pool": "envs.vector.shared_memory.pool",
    "envs.shared.process": "envs.vector.shared_memory.process",
    "envs.shared.registrations": "envs.vector.shared_memory.registrations",
    "envs.shared.worker": "envs.vector.shared_memory.worker",
    "envs.terms": "envs.mdp",
    "envs.terms.binding": "envs.managers.binding",
    "envs.terms.channels": "envs.managers.sensor_model",
    "envs.terms.commands": "envs.mdp.commands",
    "envs.terms.curricula": "envs.managers.curriculum",
    "envs.terms.drawing": "envs.managers.sampling",
    "envs.terms.effort_rewards": "envs.mdp.effort_rewards",
    "envs.terms.events": "envs.mdp.events",
    "envs.terms.exteroception": "envs.mdp.exteroception",
    "envs.terms.geometry": "envs.mdp.geometry",
    "envs.terms.goals": "envs.mdp.goals",
    "envs.terms.knobs": "envs.managers.tunables",
    "envs.terms.locomotion_rewards": "envs.mdp.locomotion_rewards",
    "envs.terms.managers": "envs.managers.managers",
    "envs.terms.memories": "envs.managers.memory",
    "envs.terms.objects": "envs.mdp.objects",
    "envs.terms.observations": "envs.mdp.observations",
    "envs.terms.observing": "envs.managers.observation",
    "envs.terms.postures": "envs.mdp.postures",
    "envs.terms.presets": "envs.managers.presets",
    "envs.terms.proprioception": "envs.mdp.proprioception",
    "envs.terms.randomization": "envs.mdp.randomization",
    "envs.terms.registry": "envs.managers.registry",
    "envs.terms.rewards": "envs.mdp.rewards",
    "envs.terms.selections": "envs.managers.selections",
    "envs.terms.terminations": "envs.mdp.terminations",
    "envs.terms.trial": "envs.managers.trial",
    "envs.vector_local": "envs.vector.lockstep_vec_env",
    "envs.vector_shared": "envs.vector.shared_memory_vec_env",
    "evaluation.baselines": "evaluation.policies",
    "evaluation.lanes": "evaluation.parallel_rollouts",
    "policies.archive": "policies.bundle.zip_archive",
    "policies.assets": "policies.bundle.assets",
    "policies.completing": "policies.export.finalize",
    "policies.exporter": "policies.export.exporter",
    "policies.graph": "policies.export.policy_graph",
    "policies.graph_contract": "policies.export.contract_writer",
    "policies.heads": "policies.export.sampling",
    "policies.inspecting": "policies.bundle.inspect",
    "policies.manifest": "policies.bundle.manifest",
    "policies.normalizer": "policies.runtime.normalizer",
    "policies.observations": "policies.runtime.observation_check",
    "policies.origin": "policies.bundle.origin",
    "policies.parity": "policies.export.parity",
    "policies.parts": "policies.bundle.layout",
    "policies.session": "policies.runtime.ort_session",
    "policies.signature": "policies.runtime.contract_reader",
    "policies.source": "policies.bundle.locate",
    "policies.weights": "policies.bundle.weights",
    "policies.wire": "policies.runtime.onnx_guard",
    "serving.acting": "serving.http.routes",
    "serving.addresses": "serving.http.addresses",
    "serving.admission": "serving.http.auth",
    "serving.answers": "serving.clients.answers",
    "serving.app": "serving.http.app",
    "serving.batching": "serving.model.batching",
    "serving.bodies": "serving.http.bodies",
    "serving.catalog": "serving.model.catalog",
    "serving.client": "serving.clients.http_client",
    "serving.client_stream": "serving.clients.stream",
    "serving.connections": "serving.http.connections",
    "serving.descriptions": "serving.http.descriptions",
    "serving.gate": "serving.http.middleware",
    "serving.interface": "serving.http.describe",
    "serving.loading": "serving.model.loading",
    "serving.logs": "serving.http.logs",
    "serving.metrics": "serving.http.metrics",
    "serving.observations": "serving.http.observation_check",
    "serving.offloading": "serving.http.offloading",
    "serving.origins": "serving.http.origins",
    "serving.refusal": "serving.http.errors",
    "serving.requests": "serving.http.requests",
    "serving.schemas": "serving.http.schemas",
    "serving.session_client": "serving.clients.websocket_client",
    "serving.session_connections": "serving.http.websocket_connections",
    "serving.sessions": "serving.http.websocket",
    "serving.stacking": "serving.model.stacking",
    "serving.state": "serving.http.state",
    "serving.strict_json": "serving.http.strict_json",
    "serving.telemetry": "serving.http.telemetry",
    "serving.tensors": "serving.http.tensors",
    "serving.warming": "serving.model.warming",
    "serving.watching": "serving.model.watching",
    "serving.wire": "serving.http.codec",
    "serving.worker": "serving.task_process",
    "sim.connection": "sim.pybullet.connection",
    "sim.contacts": "sim.pybullet.contacts",
    "sim.control": "sim.pybullet.control",
    "sim.engine": "sim.pybullet.engine",
    "sim.ground": "sim.pybullet.ground",
    "sim.loading": "sim.pybullet.loading",
    "sim.probing": "sim.pybullet.probing",
    "storage.audit": "runs.audit",
    "storage.background": "storage.mirror.background",
    "storage.cache": "storage.mirror.cache",
    "storage.fenced": "storage.leases.fenced_store",
    "storage.folder_lease": "storage.leases.folder_lease",
    "storage.guard": "storage.leases.guard",
    "storage.holder": "storage.leases.holder",
    "storage.layout": "storage.mirror.run_layout",
    "storage.lease": "storage.leases.lease",
    "storage.lease_record": "storage.leases.record",
    "storage.outgoing": "storage.mirror.outgoing",
    "storage.publish": "storage.mirror.publish",
    "storage.pull": "storage.mirror.pull",
    "storage.push": "storage.mirror.push",
    "storage.remote": "storage.mirror.remote_run",
    "storage.run_directory": "runs.directory",
    "storage.runs": "runs.index",
    "storage.s3_client": "storage.s3.client",
    "storage.s3_errors": "storage.s3.errors",
    "storage.s3_multipart": "storage.s3.multipart",
    "testing.metadata_service": "cloud.rehearsal.metadata_service",
    "training.bundles": "training.policy_bundles",
    "training.callbacks.conductor": "training.callbacks.callback_list",
    "training.callbacks.delivery": "training.callbacks.upload",
    "training.checked_envs": "training.envs.checked",
    "training.checkpoint": "training.checkpoints.store",
    "training.conclusion": "training.finalize",
    "training.crew": "training.callbacks.factory",
    "training.custody": "runs.ownership",
    "training.diagnosis": "training.monitoring.nan_check",
    "training.heartbeat": "runs.heartbeat",
    "training.interval": "training.checkpoints.schedule",
    "training.log": "runs.log_file",
    "training.manifest": "training.checkpoints.manifest",
    "training.measuring": "training.monitoring.throughput",
    "training.normalized_envs": "training.envs.normalized",
    "training.parts": "training.checkpoints.parts",
    "training.parts.base": "training.checkpoints.parts.base",
    "training.parts.environments": "training.checkpoints.parts.environments",
    "training.parts.generators": "training.checkpoints.parts.generators",
    "training.parts.learner": "training.checkpoints.parts.learner",
    "training.parts.loop": "training.checkpoints.parts.loop",
    "training.parts.memory": "training.checkpoints.parts.callbacks",
    "training.parts.normalizer": "training.checkpoints.parts.normalizer",
    "training.parts.replay": "training.checkpoints.parts.replay_buffer",
    "training.parts.ring": "training.checkpoints.parts.ring_log",
    "training.preemption": "runs.preemption",
    "training.profile": "training.monitoring.profile",
    "training.provenance": "runs.provenance",
    "training.resume": "runs.resume",
    "training.session": "training.resources",
    "training.signals": "runs.signals",
    "training.supervisor": "runs.supervisor",
    "training.timing": "training.monitoring.timing",
    "training.vec_stack": "training.envs.stack",
}


class _AliasLoader(Loader):
    """Hands out the module at its new place."""

    def __init__(self, name: str) -> None:
        self._name = name

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        del spec
        module = importlib.import_module(self._name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has put the alias's own specification there.
        module.__spec__ = self._spec


class _OldNames(MetaPathFinder):
    """Finds modules by their old names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        new = MOVED.get(fullname[len("roboyard.") :]) if fullname.startswith("roboyard.") else None
        if new is None:
            return None
        warnings.warn(
            f"'{fullname}' is now 'roboyard.{new}'; the old name goes with the next release.",
            DeprecationWarning,
            stacklevel=2,
        )
        return ModuleSpec(fullname, _AliasLoader(f"roboyard.{new}"))


def install() -> None:
    """Make old names importable."""
    if not any(isinstance(finder, _OldNames) for finder in sys.meta_path):
        # First, since old packages' search paths lead to modules that have another name now.
        sys.meta_path.insert(0, _OldNames())
