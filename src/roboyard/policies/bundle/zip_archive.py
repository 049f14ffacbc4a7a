"""The container of a bundle: a zip of a few flat, uncompressed parts, written reproducibly.

Reading unpacks nothing to a disk. Since parts are stored as they are, the space that a bundle
takes in memory is bounded by the size of its file, whatever its headers claim.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from roboyard.errors import PolicyError
from roboyard.policies.bundle.locate import read_source

MAX_PARTS = 512
MAX_BYTES = 4 * 1024**3
"""Largest bundle [bytes] that is read."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_EPOCH = (1980, 1, 1, 0, 0, 0)
_ENCRYPTED = 0x1


def write_archive(path: Path, parts: Mapping[str, bytes]) -> None:
    """Write a bundle's parts; equal parts give equal bytes.

    Args:
        path: File to replace, atomically.
        parts: Content by name, in the order in which it is stored.

    Raises:
        StorageError: It cannot be written; nothing is left behind.
    """
    from roboyard.storage.atomic import write_bytes

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            archive.writestr(info, content)
    write_bytes(path, buffer.getvalue())


def read_archive(source: str | Path) -> dict[str, bytes]:
    """Return a bundle's parts by name.

    Args:
        source: The file, or an address such as ``s3://bucket/policy.zip``.

    Raises:
        PolicyError: The file is missing, damaged, or not made as bundles are.
        StorageError: The store has no such object or cannot be read.
    """
    content = read_source(source, MAX_BYTES)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _read_parts(source, archive, len(content))
    except PolicyError:
        raise
    except Exception as error:  # The zip module raises many kinds on damaged files.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PolicyError(f"'{source}' is damaged or not a policy bundle: {reason}.") from error


def _read_parts(source: str | Path, archive: zipfile.ZipFile, size: int) -> dict[str, bytes]:
    entries = archive.infolist()
    if len(entries) > MAX_PARTS:
        raise PolicyError(
            f"'{source}' is not a policy bundle: {len(entries)} parts, more than {MAX_PARTS}."
        )
    names: set[str] = set()
    for entry in entries:
        fault = _fault(entry, names)
        if fault:
            raise PolicyError(
                f"'{source}' is not a policy bundle: part {entry.filename!r} {fault}."
            )
        names.add(entry.filename)
    if sum(entry.file_size for entry in entries) > size:
        raise PolicyError(f"'{source}' is damaged: its parts claim more bytes than the file has.")
    return {entry.filename: archive.read(entry) for entry in entries}


def _fault(entry: zipfile.ZipInfo, earlier: set[str]) -> str | None:
    if not _NAME.fullmatch(entry.filename):
        return "has a name that is not a plain file name"
    if entry.filename in earlier:
        return "is there twice"
    if entry.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        return "is compressed"
    return None
