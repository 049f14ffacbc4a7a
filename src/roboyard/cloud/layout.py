"""Names that a submission has in the bucket and in tags; both sides read them here."""

from __future__ import annotations

import dataclasses
import re

from roboyard.errors import ConfigError

SUBMISSION_TAG = "roboyard:submission"

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?")


def check_name(name: str) -> str:
    """Return a submission's name, which is part of keys, tags and other names.

    Raises:
        ConfigError: AWS would refuse it.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"'{name}' is no name for a submission: use 1 to 48 lower-case letters, digits and "
            "hyphens, with no hyphen at either end."
        )
    return name


@dataclasses.dataclass(frozen=True)
class SubmissionPlaces:
    """Places of one submission in its bucket."""

    bucket: str
    name: str

    @property
    def submission_key(self) -> str:
        """Key of the record that instances read first."""
        return f"submissions/{self.name}/submission.json"

    @property
    def store(self) -> str:
        """The store that holds the run, or the experiment's folder."""
        return f"s3://{self.bucket}/runs"

    @property
    def uri(self) -> str:
        """The run's or the experiment's place in the store."""
        return f"{self.store}/{self.name}"

    def result_key(self, run_id: str) -> str:
        """Key of a run's result, which is created once and never changed."""
        return f"results/{self.name}/{run_id}.json"

    def node_key(self, instance_id: str) -> str:
        """Key of an instance's heartbeat."""
        return f"status/{self.name}/nodes/{instance_id}.json"

    def log_prefix(self, instance_id: str) -> str:
        """Prefix of an instance's logs."""
        return f"logs/{self.name}/{instance_id}/"

    @property
    def template(self) -> str:
        """Name of the launch template of its instances."""
        return f"roboyard-{self.name}"
