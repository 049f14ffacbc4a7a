"""Starting XLA: how many threads it gets, and where updates run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import jax
from jax.extend.backend import clear_backends

from roboyard.errors import ConfigError

_PLATFORMS: str | None = os.environ.get("JAX_PLATFORMS")
"""The user's choice, which stands."""
_started: list[tuple[int, bool]] = []
"""How this process's XLA client was started, once it was: threads, and with an accelerator."""


def start(threads: int, accelerator: bool) -> jax.Device:
    """Start XLA, or start it again if something else is wanted now.

    XLA reads the number from the environment when its CPU client is made, and never again. It
    splits sums by it, so exact continuation needs the same number. Arrays made before a second
    start are lost.

    Args:
        threads: Of the CPU client, which compiles and runs what does not run on an accelerator.
        accelerator: Whether updates run on one.

    Returns:
        The device of the updates.

    Raises:
        ConfigError: An accelerator is asked for and JAX finds none.
    """
    wanted = (threads, accelerator)
    if _started and _started != [wanted]:
        clear_backends()  # type: ignore[no-untyped-call]
    _started[:] = [wanted]
    # Without need, an accelerator's memory is left alone.
    platforms = _PLATFORMS or (None if accelerator else "cpu")
    jax.config.update("jax_platforms", platforms)  # type: ignore[no-untyped-call]
    with _environment(threads):
        try:
            device: jax.Device = jax.devices("gpu" if accelerator else "cpu")[0]
        except RuntimeError as error:
            raise ConfigError(
                f"train.device is 'cuda', but JAX finds no such device here ({error}). Use 'cpu', "
                "or install JAX's plugin for it: pip install 'jax[cuda12]'."
            ) from error
    return device


@contextlib.contextmanager
def _environment(threads: int) -> Iterator[None]:
    """Tell XLA what it reads from the environment; child processes do not inherit it."""
    wanted = {
        "NPROC": str(threads),
        # Environments' workers, or a second run, may need the accelerator's memory too.
        "XLA_PYTHON_CLIENT_PREALLOCATE": os.environ.get("XLA_PYTHON_CLIENT_PREALLOCATE", "false"),
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
