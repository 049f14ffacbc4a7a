"""What a text in a config may name. A field that says nothing may name neither code nor a file.

Whoever adds a field that names something marks it with one of these; ``config.trust`` reads the
marks, and refuses what a field without a mark would not hold.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated


class Use(Enum):
    """What becomes of a text."""

    CODE = "code"
    """It is looked up by name, and ``module:Attr`` is imported."""
    FILE = "file"
    """It is opened."""
    TEXT = "text"
    """It is shown, or compared with names in a robot's description, and nothing else."""
    PLACE = "place"
    """Only whoever trains goes there: it is no part of what is read back and acted on."""


CodeName = Annotated[str, Use.CODE]
"""A registered name, or ``module:Attr``."""
FileName = Annotated[str, Use.FILE]
"""A file that is opened."""
Text = Annotated[str, Use.TEXT]
"""A description, or the name of a joint, a link or a key."""
Place = Annotated[str, Use.PLACE]
"""A folder, bucket or file of the machine that trains."""
