"""Names, format version and digests of a bundle's parts, in the standard library alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roboyard import json_text
from roboyard.errors import PolicyError

FORMAT = "roboyard-policy"
READABLE_VERSIONS = (1,)
"""Format versions that this release reads. A part or a key that older readers can do without is
added within a version; what changes the meaning of existing ones takes a new version."""
MANIFEST_PART = "bundle.json"
POLICY_PART = "policy.safetensors"
NORMALIZER_PART = "normalizer.safetensors"
ONNX_PART = "policy.onnx"
MAX_MANIFEST_BYTES = 64 * 1024**2


def digest(content: bytes) -> str:
    """Return the SHA-256 of a part."""
    return hashlib.sha256(content).hexdigest()


def parse_manifest(source: str | Path, content: bytes) -> dict[str, Any]:
    """Return the JSON of ``bundle.json``, of a format version that this release reads.

    Raises:
        PolicyError: It is no JSON, of another format, or of an unknown version.
    """
    if len(content) > MAX_MANIFEST_BYTES:
        raise PolicyError(f"'{source}' is not a policy bundle: its {MANIFEST_PART} is too large.")
    try:
        value = json_text.loads(content)
    except (ValueError, RecursionError) as error:
        raise PolicyError(
            f"'{source}' is damaged: {MANIFEST_PART} is not JSON ({error})."
        ) from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise PolicyError(f"'{source}' is not a policy bundle: its format is not '{FORMAT}'.")
    version = value.get("format_version")
    if version not in READABLE_VERSIONS or isinstance(version, bool):
        readable = ", ".join(map(str, READABLE_VERSIONS))
        raise PolicyError(
            f"'{source}' has bundle format version {version!r}; this release reads {readable}. "
            "Upgrade roboyard to read newer bundles."
        )
    return value


def verify_digests(
    source: str | Path, listed: Mapping[str, str], parts: Mapping[str, bytes]
) -> None:
    """Refuse parts that are missing, not listed, or changed.

    Args:
        source: The bundle, for messages.
        listed: SHA-256 by name of the part.
        parts: Content by name, without the manifest.

    Raises:
        PolicyError: They are not as listed.
    """
    if parts.keys() != listed.keys():
        odd = ", ".join(sorted(parts.keys() ^ listed.keys()))
        raise PolicyError(f"'{source}' is damaged: these parts are missing or not listed: {odd}.")
    for name, content in parts.items():
        if digest(content) != listed[name]:
            raise PolicyError(
                f"'{source}' is damaged: the SHA-256 of part '{name}' does not match."
            )
