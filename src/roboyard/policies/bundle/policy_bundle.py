"""The policy bundle: one file with a network and all that is needed to act with it.

Format version 1 is a zip without compression::

    bundle.json              spaces, network facts, contract, config, provenance, digests
    policy.safetensors       parameters of the network, by their torch names
    normalizer.safetensors   mean and variance of the observations, if they are normalised
    policy.onnx              all of the policy as one graph, once it has been exported
    asset.N                  files of a robot of one's own: its description, meshes, textures

It is safe to open from a stranger: there is no pickle in it, reading unpacks nothing,
every part's digest is checked, and what its config names passes ``config.trust`` before any of it
is looked up: code (``"module:Class"``) and files are used only when the caller says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue, ValidationError

from roboyard.config.load import as_written
from roboyard.config.schema import ExperimentConfig
from roboyard.errors import PolicyError
from roboyard.policies.bundle.assets import collect
from roboyard.policies.bundle.layout import NORMALIZER_PART, POLICY_PART
from roboyard.policies.bundle.manifest import (
    AssetSection,
    BundleManifest,
    NormalizerSection,
    read_parts,
    write_parts,
)
from roboyard.policies.contract import PolicyContract, check_contract
from roboyard.policies.runtime.normalizer import ObservationNormalizer
from roboyard.policies.spaces import AnySpace, space_from_json, space_to_json

if TYPE_CHECKING:
    from stable_baselines3.common.policies import BasePolicy

    from roboyard.policies.loaded import LoadedPolicy


@dataclass(frozen=True)
class PolicyBundle:
    """A bundle that has been read and verified; make one with ``read``."""

    source: str
    """Path or address that it was read from."""
    size: int
    """Bytes of its parts together."""
    config: ExperimentConfig
    """Resolved config of the run that trained the policy, as it was written: ``config.trust``
    admits what is used of it, and fills in references to environment variables."""
    observation_space: AnySpace
    """Space of one observation of the environment, before normalisation."""
    action_space: AnySpace
    """Space of one action."""
    normalizer: ObservationNormalizer | None
    """Normalisation of observations."""
    manifest: BundleManifest = field(repr=False)
    """All of ``bundle.json``."""
    weights: bytes = field(repr=False)
    """The content of ``policy.safetensors``."""
    assets: Mapping[str, bytes] = field(repr=False)
    """Files of the user's own robot and objects, by their paths relative to each other."""

    @property
    def algorithm(self) -> str:
        """Name or ``module:Class`` of the algorithm."""
        return self.manifest.algorithm

    @property
    def provenance(self) -> dict[str, JsonValue]:
        """Where the policy comes from."""
        return self.manifest.provenance

    @property
    def contract(self) -> PolicyContract:
        """Names, units, control period and robot."""
        return self.manifest.contract

    @staticmethod
    def write(
        path: str | Path,
        *,
        policy: BasePolicy,
        config: ExperimentConfig,
        normalizer: ObservationNormalizer | None,
        observation_space: AnySpace,
        action_space: AnySpace,
        provenance: Mapping[str, JsonValue],
        contract: PolicyContract | None = None,
    ) -> Path:
        """Write a bundle, atomically; equal arguments give equal bytes.

        Args:
            path: The file; an existing one is replaced.
            policy: The network, as ``build_agent(...).policy``.
            config: Resolved config of the run.
            normalizer: Normalisation of observations, if the run had it.
            observation_space: Of one environment, before normalisation.
            action_space: Of one environment.
            provenance: JSON values that say where the policy comes from.
            contract: Names, units, control period; see ``contract.describe_env``.

        Returns:
            The path.

        Raises:
            PolicyError: The arguments do not fit each other.
            StorageError: It cannot be written; nothing is left behind.
        """
        from roboyard.policies.bundle.weights import check_spaces, describe, pack

        contract = contract or PolicyContract()
        check_contract(contract, observation_space, action_space)
        check_spaces(policy, normalizer, observation_space, action_space)
        packed = pack(policy)
        assets = collect(config)
        section = normalizer and NormalizerSection(clip=normalizer.clip, epsilon=normalizer.epsilon)
        facts = BundleManifest(
            algorithm=config.agent.algorithm,
            observation_space=space_to_json(observation_space),
            action_space=space_to_json(action_space),
            network=describe(policy, packed.aliases),
            normalizer=section,
            contract=contract,
            config=as_written(config),
            provenance=dict(provenance),
            assets=tuple(
                AssetSection(path=path, part=f"asset.{index}")
                for index, path in enumerate(assets.contents)
            ),
            asset_files=assets.named,
        )
        parts = {POLICY_PART: packed.content}
        parts |= {asset.part: assets.contents[asset.path] for asset in facts.assets}
        if normalizer is not None:
            parts[NORMALIZER_PART] = _pack_arrays(normalizer)
        write_parts(Path(path), facts, parts)
        return Path(path)

    @classmethod
    def read(cls, source: str | Path) -> PolicyBundle:
        """Read and verify a bundle; no network is built yet.

        Args:
            source: The file, or its address in a store, such as ``s3://bucket/policy.zip``.

        Raises:
            PolicyError: It is missing, damaged, or of an unknown format version.
            StorageError: The store has no such object or cannot be read.
        """
        facts, parts = read_parts(source)
        try:
            config = ExperimentConfig.model_validate(facts.config)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise PolicyError(
                f"'{source}': its config does not fit this release: {where}: {first['msg']}. "
                "Read it with the release that wrote it, named in its provenance."
            ) from error
        if facts.algorithm != config.agent.algorithm:
            raise PolicyError(
                f"'{source}' is damaged: its algorithm is '{facts.algorithm}', but its config says "
                f"'{config.agent.algorithm}'."
            )
        observation_space = space_from_json(facts.observation_space)
        action_space = space_from_json(facts.action_space)
        check_contract(facts.contract, observation_space, action_space)
        return cls(
            source=str(source),
            size=sum(map(len, parts.values())),
            config=config,
            observation_space=observation_space,
            action_space=action_space,
            normalizer=_unpack_normalizer(source, facts, parts, observation_space),
            manifest=facts,
            weights=parts[POLICY_PART],
            assets={asset.path: parts[asset.part] for asset in facts.assets},
        )

    def with_contract(self, contract: PolicyContract) -> PolicyBundle:
        """Return the bundle as if it had been written with this contract.

        Raises:
            PolicyError: Its names do not count the entries of the spaces.
        """
        check_contract(contract, self.observation_space, self.action_space)
        return replace(self, manifest=self.manifest.model_copy(update={"contract": contract}))

    def policy(self, *, device: str = "cpu", trust_code: bool = False) -> LoadedPolicy:
        """Build the network and return it ready to act.

        Args:
            device: Where the network lives.
            trust_code: Whether code that the config names as ``"module:Class"`` may be imported.
                Say so only for bundles whose origin you trust.

        Raises:
            PolicyError: The weights do not fit the config, or the config names foreign code.
        """
        from roboyard.policies.bundle.weights import build_network
        from roboyard.policies.loaded import LoadedPolicy

        return LoadedPolicy(
            policy=build_network(self, device=device, trust_code=trust_code),
            normalizer=self.normalizer,
            observation_space=self.observation_space,
            action_space=self.action_space,
        )


def _pack_arrays(normalizer: ObservationNormalizer) -> bytes:
    from safetensors.numpy import save

    return bytes(save(normalizer.to_arrays()))


def _unpack_normalizer(
    source: str | Path,
    facts: BundleManifest,
    parts: Mapping[str, bytes],
    observation_space: AnySpace,
) -> ObservationNormalizer | None:
    from safetensors.numpy import load

    if facts.normalizer is None:
        return None
    try:
        arrays = load(parts[NORMALIZER_PART])
    except Exception as error:  # Whatever damaged bytes make the parser raise.
        raise PolicyError(f"'{source}' is damaged: {NORMALIZER_PART}: {error}.") from error
    normalizer = ObservationNormalizer.from_arrays(
        arrays, facts.normalizer.clip, facts.normalizer.epsilon
    )
    normalizer.check_space(observation_space)
    return normalizer
