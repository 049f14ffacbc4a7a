"""What every part of a checkpoint can do, and the files it may write.

Files are npz without pickle, safetensors, JSON, and torch files that load with
``weights_only=True``: reading a checkpoint never runs code from it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from roboyard import json_text
from roboyard.training.checkpoints.manifest import FileFacts

AnyArray = npt.NDArray[Any]


class CheckpointPart(Protocol):
    """Owner of one piece of a run's state."""

    def save(self, folder: Path) -> Mapping[str, FileFacts] | None:
        """Write the piece into ``folder``, in files of its own.

        Returns:
            Files outside the folder that are needed too, by their path from it.
        """

    def load(self, folder: Path) -> None:
        """Put the piece back as it was when it was saved."""


def write_arrays(path: Path, arrays: Mapping[str, AnyArray]) -> None:
    """Write arrays of numbers, exactly."""
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, AnyArray]:
    """Read what ``write_arrays`` wrote."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def write_json(path: Path, value: object) -> None:
    """Write a JSON value."""
    path.write_text(json.dumps(value))


def read_json(path: Path) -> dict[str, object]:
    """Read a JSON object."""
    return _table(json_text.loads(path.read_text()), path)


def write_torch(path: Path, value: object) -> None:
    """Write tensors in plain containers."""
    # Through memory: torch turns a full disk into a RuntimeError without the cause.
    buffer = io.BytesIO()
    torch.save(_plain(value), buffer)
    path.write_bytes(buffer.getbuffer())


def read_torch(path: Path, device: torch.device) -> dict[str, object]:
    """Read what ``write_torch`` wrote; no code from the file is run."""
    return _table(torch.load(path, map_location=device, weights_only=True), path)


def _table(value: object, path: Path) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} holds a {type(value).__name__} instead of a table")
    return value


def _plain(value: object) -> object:
    """Turn NumPy scalars, which ``weights_only`` refuses, into Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item) for item in value)
    return value
