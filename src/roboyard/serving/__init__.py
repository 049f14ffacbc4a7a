"""The policy server and its client.

Importing this package imports neither FastAPI nor onnxruntime; the client needs neither.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roboyard.serving.clients.http_client import Client
    from roboyard.serving.clients.websocket_client import Session
    from roboyard.serving.server import serve
    from roboyard.serving.settings import Settings

__all__ = ["Client", "Session", "Settings", "serve"]

_HOMES = {
    "Client": "roboyard.serving.clients.http_client",
    "Session": "roboyard.serving.clients.websocket_client",
    "Settings": "roboyard.serving.settings",
    "serve": "roboyard.serving.server",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'roboyard.serving' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
