"""Starting XLA: how many threads it gets, and where updates run."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import jax
from jaxlib import xla_client

from roboyard.agents.jax import cache
from roboyard.errors import ConfigError

P = ParamSpec("P")
R = TypeVar("R")

_THREADS: dict[jax.Device, int] = {}


def start(threads: int, accelerator: bool) -> jax.Device:
    """Return the device of updates, and start XLA for it where need be.

    Each number of threads has a client of its own, so that learners with different settings live
    in one process, beside whatever else uses JAX in it. No accelerator is touched without need.

    Args:
        threads: Of the CPU client. XLA splits sums by it, so exact continuation needs the same
            number.
        accelerator: Whether updates run on one.

    Raises:
        ConfigError: An accelerator is asked for and JAX finds none.
    """
    cache.enable()
    return _accelerator() if accelerator else _processor(threads)


def named_for(device: jax.Device, function: Callable[P, R]) -> Callable[P, R]:
    """Return the function under a name by which its compiled form is kept.

    What XLA compiles for one number of threads is not what it compiles for another, but its cache
    does not look at that.
    """

    @functools.wraps(function)
    def named(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    named.__name__ = f"{function.__name__.strip('_')}_{_THREADS.get(device, 0)}_threads"
    return named


@functools.cache
def _processor(threads: int) -> jax.Device:
    # XLA reads the number from the environment when a client is made, and never again.
    with _environment("NPROC", str(threads)):
        client = xla_client.make_cpu_client()
    device: jax.Device = client.local_devices()[0]  # type: ignore[attr-defined]
    _THREADS[device] = threads
    return device


def _accelerator() -> jax.Device:
    # Environments' workers, or a second run, may need the accelerator's memory too.
    name = "XLA_PYTHON_CLIENT_PREALLOCATE"
    try:
        with _environment(name, os.environ.get(name, "false")):
            return jax.devices("gpu")[0]
    except RuntimeError as error:
        raise ConfigError(
            f"train.device is 'cuda', but JAX finds no such device here ({error}). Use 'cpu', "
            "or install JAX's plugin for it: pip install 'jax[cuda12]'."
        ) from error


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Tell XLA what it reads from the environment; child processes do not inherit it."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
