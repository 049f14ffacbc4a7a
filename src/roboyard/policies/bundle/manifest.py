"""``bundle.json``: what a bundle holds, in which format, and the digest of each part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from roboyard.errors import PolicyError
from roboyard.policies.bundle.assets import PATH
from roboyard.policies.bundle.layout import (
    MANIFEST_PART,
    NORMALIZER_PART,
    POLICY_PART,
    digest,
    parse_manifest,
    verify_digests,
)
from roboyard.policies.bundle.zip_archive import read_archive, write_archive
from roboyard.policies.contract import PolicyContract

Size = Annotated[int, Field(ge=1, le=1_000_000)]


class _Section(BaseModel):
    """A section of the manifest; keys of later additions are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class BundlePart(_Section):
    """One part of the archive."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Digest of its content."""


class NormalizerSection(_Section):
    """Numbers of the normaliser that are not per entry."""

    clip: float
    """Largest absolute value of a normalised entry."""
    epsilon: float
    """Added to the variance."""


class NetworkSection(_Section):
    """What a reader must know about the network beside its weights."""

    squashed: bool
    """Whether raw actions are in [-1, 1] and are scaled to the action space; else they are
    clipped to it."""
    state_shapes: tuple[tuple[Size, ...], ...] = ()
    """Shapes of the recurrent state for one environment; empty without memory."""
    aliases: dict[str, str] = {}
    """Parameters that are the same tensor as another one, which is stored once."""


class ParitySection(_Section):
    """How far the ONNX graph's actions are from the network's."""

    observations: int
    """Observations of real episodes that were compared."""
    largest_difference: float
    """Largest difference of an action's entry; a share of the bound where that is above 1."""
    tolerance: float
    """What was allowed."""


class OnnxSection(_Section):
    """Where the ONNX graph comes from."""

    opset: int
    """Version of its operators."""
    exporter: str
    """What made it, with its version."""
    parity: ParitySection
    """How it was checked."""


class AssetSection(_Section):
    """A file that the task needs, such as a mesh of the robot."""

    path: str = Field(max_length=500, pattern=f"^{PATH}$")
    """Where it stands relative to the others."""
    part: str
    """Part of the archive that holds it."""


class BundleManifest(_Section):
    """The whole of ``bundle.json``."""

    format: Literal["roboyard-policy"] = "roboyard-policy"
    """What kind of file this is."""
    format_version: int = 1
    """Version of the format."""
    algorithm: str
    """Name or ``module:Class`` of the algorithm that trained the policy."""
    observation_space: dict[str, JsonValue]
    """Space of one observation of the environment, before normalisation."""
    action_space: dict[str, JsonValue]
    """Space of one action."""
    network: NetworkSection
    """The network."""
    normalizer: NormalizerSection | None = None
    """Normalisation of observations, if there is any."""
    contract: PolicyContract = PolicyContract()
    """Names, units, control period and robot."""
    config: dict[str, JsonValue]
    """The resolved config of the run."""
    provenance: dict[str, JsonValue] = {}
    """Where the policy comes from: versions, git revision, seed, steps, evaluation."""
    onnx: OnnxSection | None = None
    """The ONNX graph, if the bundle holds one."""
    assets: tuple[AssetSection, ...] = ()
    """Files of the user's own robot and objects."""
    asset_files: dict[str, str] = {}
    """Which of them the config names, from the name there to its path."""
    parts: dict[str, BundlePart] = {}
    """Every other part of the archive."""


def write_parts(path: Path, manifest: BundleManifest, parts: Mapping[str, bytes]) -> None:
    """Write the manifest, with the digests filled in, and the parts.

    Raises:
        StorageError: It cannot be written.
    """
    _write(path, manifest.model_dump(mode="json"), parts)


def add_to_bundle(
    source: str | Path,
    target: Path,
    parts: Mapping[str, bytes] | None = None,
    **sections: JsonValue,
) -> None:
    """Write a bundle again with further parts and changed sections of its manifest.

    Keys and parts that this release does not know are kept.

    Args:
        source: The bundle to start from.
        target: Where to write; may be the same file.
        parts: Content of further or changed parts by name.
        sections: Sections of the manifest to set.

    Raises:
        PolicyError: The bundle is damaged.
        StorageError: It cannot be written; an old file stays.
    """
    read_parts(source)
    everything = read_archive(source)
    value = parse_manifest(source, everything.pop(MANIFEST_PART))
    _write(target, value | sections, everything | dict(parts or {}))


def _write(path: Path, value: Mapping[str, JsonValue], parts: Mapping[str, bytes]) -> None:
    digests = {name: {"sha256": digest(content)} for name, content in parts.items()}
    text = json.dumps({**value, "parts": digests}, indent=1, allow_nan=False)
    write_archive(path, {MANIFEST_PART: text.encode(), **parts})


def read_parts(source: str | Path) -> tuple[BundleManifest, dict[str, bytes]]:
    """Return the manifest and the verified parts.

    Raises:
        PolicyError: The file is damaged, of another format, or of an unknown version.
        StorageError: A store has no such object or cannot be read.
    """
    parts = read_archive(source)
    if MANIFEST_PART not in parts:
        raise PolicyError(f"'{source}' is not a policy bundle: it has no {MANIFEST_PART}.")
    value = parse_manifest(source, parts.pop(MANIFEST_PART))
    try:
        manifest = BundleManifest.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise PolicyError(
            f"'{source}' is damaged: {MANIFEST_PART}: {where}: {first['msg']}."
        ) from error
    _verify(source, manifest, parts)
    return manifest, parts


def _verify(source: str | Path, manifest: BundleManifest, parts: Mapping[str, bytes]) -> None:
    listed = {name: part.sha256 for name, part in manifest.parts.items()}
    verify_digests(source, listed, parts)
    expected = {POLICY_PART} | ({NORMALIZER_PART} if manifest.normalizer else set())
    expected |= {asset.part for asset in manifest.assets}
    if not set(manifest.asset_files.values()) <= {asset.path for asset in manifest.assets}:
        raise PolicyError(f"'{source}' is damaged: {MANIFEST_PART}: asset_files names no asset.")
    if not expected <= parts.keys():
        missing = ", ".join(sorted(expected - parts.keys()))
        raise PolicyError(f"'{source}' is damaged: it has no part {missing}.")
