"""What an instance runs when it starts."""

from __future__ import annotations

import re
from importlib.resources import files

from roboyard.cloud.submission import Submission
from roboyard.errors import CloudError

_PLAIN = re.compile(r"[A-Za-z0-9._:/@-]*")


def user_data(submission: Submission, region: str) -> str:
    """Return the script of a submission's instances.

    Raises:
        CloudError: The image is not named by its digest, or a value could end a quotation.
    """
    if "@sha256:" not in submission.image:
        raise CloudError(
            f"image '{submission.image}' is not named by its digest: give REPOSITORY@sha256:..., "
            "so that every instance runs the same."
        )
    values = {
        "REGION": region,
        "IMAGE": submission.image,
        "BUCKET": submission.bucket,
        "SUBMISSION": submission.name,
        "MAX_HOURS": f"{submission.max_hours or 168.0:g}",
    }
    text = files("roboyard.cloud").joinpath("templates/user_data.sh").read_text("utf-8")
    for name, value in values.items():
        if not _PLAIN.fullmatch(value):
            raise CloudError(f"{name.lower()} '{value}' holds a character that it must not hold.")
        text = text.replace(f"@{name}@", value)
    return text
