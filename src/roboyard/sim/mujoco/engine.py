"""The engine's module, set up to keep its warnings to itself."""

from __future__ import annotations

import logging

from roboyard.optional import require

mujoco = require("mujoco", "mujoco")

_LOG = logging.getLogger(__name__)


def _warn(text: bytes | str) -> None:
    _LOG.debug("MuJoCo: %s", text)


# Else it writes a file of warnings into the working directory.
mujoco.set_mju_user_warning(_warn)
