"""The record of what a fleet is to do, written once by ``cloud submit``, read by every instance."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Literal

from roboyard.errors import CloudError

Kind = Literal["train", "experiment", "tune"]


@dataclasses.dataclass(frozen=True)
class Submission:
    """What a fleet is to do."""

    name: str
    kind: Kind
    bucket: str
    image: str
    """Image by digest, ``REPOSITORY@sha256:...``."""
    version: str
    """Version of Roboyard that submitted; the image must hold the same."""
    created: str
    """Time of submission, ISO 8601 in UTC."""
    config: str = ""
    """``train``: the resolved config as YAML. Experiments and searches record theirs in the
    store before the fleet starts, and are continued from there."""
    run_id: str = ""
    """``train``: the run's id."""
    max_hours: float | None = None
    """Hours after which an instance ends, whatever it does; None is a week."""

    def to_json(self) -> str:
        """Return the record as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Submission:
        """Return the record that was written.

        Raises:
            CloudError: It is damaged, or made by another version of Roboyard.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            return cls(**fields)
        except (TypeError, ValueError) as error:
            raise CloudError(f"the submission's record cannot be read: {error}.") from None
