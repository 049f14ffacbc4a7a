"""Optional packages: imported when needed, with the exact pip line when absent."""

from __future__ import annotations

import importlib
from types import ModuleType

from roboyard.errors import MissingDependencyError


def require(module: str, extra: str) -> ModuleType:
    """Import an optional module.

    Args:
        module: Dotted module name.
        extra: The extra of this package that installs it.

    Raises:
        MissingDependencyError: It is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"'{module}' is needed here and cannot be imported ({error}). "
            f"Install it with: pip install 'roboyard[{extra}]'"
        ) from error
