"""xacro, expanded where its package is installed."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from roboyard.errors import RobotDescriptionError
from roboyard.optional import require
from roboyard.robots.readers.xml import Document, XmlNode, parse_xml


def is_xacro(file: Path, root: XmlNode) -> bool:
    """Return whether a description has to be expanded first."""
    if file.suffix.lower() == ".xacro":
        return True
    return any(node.tag.startswith("xacro:") for node in root.walk())


def expand_xacro(file: Path) -> Document:
    """Return the URDF that a xacro file makes.

    Raises:
        RobotDescriptionError: xacro refuses it.
        MissingDependencyError: The package is not installed.
    """
    xacro = require("xacro", "xacro")
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # It warns of files that are sound.
            text = xacro.process_file(str(file)).toxml()
    except SystemExit as error:
        raise RobotDescriptionError(f"robot description '{file}': xacro gives up.") from error
    except Exception as error:  # It raises whatever the expressions in the file raise.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RobotDescriptionError(
            f"robot description '{file}': xacro cannot expand it: {reason}"
        ) from error
    return parse_xml(text.encode(), file)
