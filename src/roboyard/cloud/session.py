"""Clients of AWS, and its refusals in one line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from roboyard.errors import CloudError
from roboyard.optional import require

_MEANING = {
    "AuthFailure": "the credentials are wrong",
    "InvalidClientTokenId": "the credentials are wrong",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "RequestExpired": "the clock of this machine is wrong, or the credentials have expired",
    "RequestTimeTooSkewed": "the clock of this machine is wrong",
    "ExpiredToken": "the credentials have expired",
    "UnauthorizedOperation": "these credentials may not do that",
    "AccessDenied": "these credentials may not do that",
    "AccessDeniedException": "these credentials may not do that",
    "Throttling": "too many requests at once; try again in a minute",
    "RequestLimitExceeded": "too many requests at once; try again in a minute",
    "MaxSpotInstanceCountExceeded": "the quota of spot instances is used up",
    "VcpuLimitExceeded": "the quota of vCPUs is used up",
}


class AwsSession:
    """One account and region; credentials and endpoint are those of the environment."""

    def __init__(self, region: str | None = None) -> None:
        """Prepare; nothing is asked.

        Args:
            region: AWS region; by default that of the environment or profile.

        Raises:
            CloudError: No region is known.
            MissingDependencyError: boto3 is not installed.
        """
        self._session: Any = require("boto3", "aws").Session(region_name=region)
        if not self._session.region_name:
            raise CloudError("no AWS region is known: set AWS_DEFAULT_REGION, or pass --region.")
        self.region: str = self._session.region_name

    def client(self, service: str) -> Any:  # noqa: ANN401  (boto3 makes its clients at run time)
        """Return a client of a service."""
        from botocore.config import Config

        return self._session.client(
            service, config=Config(retries={"mode": "standard", "total_max_attempts": 5})
        )


@contextlib.contextmanager
def asking(what: str) -> Iterator[None]:
    """Turn what AWS refuses meanwhile into one line.

    Args:
        what: What is being done, such as ``"cancelling fleet sfr-1"``.

    Raises:
        CloudError: AWS refused, or did not answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        about = error.response.get("Error", {})
        code, said = about.get("Code", "?"), about.get("Message", "")
        meaning = _MEANING.get(code)
        told = f"{meaning} ({code})" if meaning else f"{code}: {said}"
        raise CloudError(f"{what} failed: {told}.") from error
    except BotoCoreError as error:
        raise CloudError(f"{what} failed: {error}.") from error
