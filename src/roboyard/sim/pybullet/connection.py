"""Opening physics clients."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys

from roboyard.errors import SimulationError
from roboyard.sim.pybullet.engine import EngineError, captured_output, pybullet
from roboyard.sim.settings import WorldConfig


def connect(config: WorldConfig) -> int:
    """Open a client with the settings of ``config`` and return its id.

    Raises:
        SimulationError: The engine has no client left, or there is no display for a window.
    """
    client = _open_window() if config.gui else _open_direct()
    parameters: dict[str, float] = {
        "fixedTimeStep": config.call_period,
        "numSubSteps": config.steps_per_call if config.steps_per_call > 1 else 0,
        "numSolverIterations": config.solver_iterations,
        # Without it, restored worlds drift away from the saved ones.
        "deterministicOverlappingPairs": 1,
    }
    if config.contact_erp is not None:
        parameters["contactERP"] = config.contact_erp
    pybullet.setPhysicsEngineParameter(**parameters, physicsClientId=client)
    return client


def _open_direct() -> int:
    try:
        client: int = pybullet.connect(pybullet.DIRECT)
    except EngineError as error:
        raise SimulationError(f"a physics world cannot be opened: {error}") from error
    if client < 0:
        raise SimulationError(
            "a physics world cannot be opened: the engine allows about 1000 at a time in one "
            "process. Close worlds that are not needed any more."
        )
    return client


def _open_window() -> int:
    _check_display()
    try:
        with captured_output():
            client: int = pybullet.connect(pybullet.GUI)
    except EngineError as error:
        raise SimulationError(
            f"the physics window cannot be opened: {error} "
            "A process can have one at a time; use render_mode='rgb_array' for the others."
        ) from error
    if client < 0:
        raise SimulationError(
            "the physics window cannot be opened. Use render_mode='rgb_array', which needs none."
        )
    return client


def _check_display() -> None:
    """Look for a display first: without one the engine would end the whole process.

    Raises:
        SimulationError: There is none.
    """
    if not sys.platform.startswith("linux"):
        return
    name = os.environ.get("DISPLAY")
    why = f"DISPLAY is '{name}', where nothing answers" if name else "DISPLAY is not set"
    if not (name and _answers(name)):
        raise SimulationError(
            f"the physics window cannot be opened: there is no display ({why}). "
            "Use render_mode='rgb_array', which needs none."
        )


def _answers(display: str) -> bool:
    library = ctypes.util.find_library("X11")
    if library is None:
        return False
    x11 = ctypes.CDLL(library)
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
    connection = x11.XOpenDisplay(display.encode())
    if connection:
        x11.XCloseDisplay(connection)
    return bool(connection)
