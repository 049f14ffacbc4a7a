"""What S3's errors mean, and what to do about them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from roboyard.errors import StorageError
from roboyard.storage.base import NotFoundError

_PERMISSIONS = {
    "put_object": "s3:PutObject",
    "create_multipart_upload": "s3:PutObject",
    "upload_part": "s3:PutObject",
    "complete_multipart_upload": "s3:PutObject",
    "abort_multipart_upload": "s3:AbortMultipartUpload",
    "get_object": "s3:GetObject",
    "head_object": "s3:GetObject and s3:ListBucket",
    "list_objects_v2": "s3:ListBucket",
    "delete_object": "s3:DeleteObject",
}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
_BAD_KEYS = "the credentials are not valid ({code}). 'aws sts get-caller-identity' shows them."
_ELSEWHERE = "bucket '{bucket}' is in another region; set AWS_REGION to it ({code})."
_KNOWN = {
    "NoSuchBucket": "bucket '{bucket}' does not exist. Correct its name, or create it: "
    "aws s3 mb s3://{bucket}",
    "NoSuchKey": "there is no such object.",
    "InvalidAccessKeyId": _BAD_KEYS,
    "SignatureDoesNotMatch": _BAD_KEYS,
    "InvalidToken": _BAD_KEYS,
    "PermanentRedirect": _ELSEWHERE,
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "IllegalLocationConstraintException": _ELSEWHERE,
}
_TRANSIENT_CODES = {
    "SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling",
    "ThrottlingException", "TooManyRequests", "ConditionalRequestConflict", "OperationAborted",
    "BadDigest", "XAmzContentChecksumMismatch",
}  # fmt: skip
_TRANSIENT_TYPES = {
    "EndpointConnectionError", "ConnectionError", "ConnectTimeoutError", "ReadTimeoutError",
    "ConnectionClosedError", "HTTPClientError", "ResponseStreamingError", "IncompleteReadError",
    "ChecksumMismatchError", "FlexibleChecksumError",
}  # fmt: skip


def code_of(error: Exception) -> str:
    """Return the service's error code, or an empty string when no answer arrived."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, Mapping) else ""


def status_of(error: Exception) -> int:
    """Return the HTTP status of the answer, or 0 when none arrived."""
    response = getattr(error, "response", None)
    if not isinstance(response, Mapping):
        return 0
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_transient(error: Exception) -> bool:
    """Return whether the same request may succeed a little later."""
    if code_of(error) in _TRANSIENT_CODES or type(error).__name__ in _TRANSIENT_TYPES:
        return True
    status = status_of(error)
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS


def is_expired(error: Exception) -> bool:
    """Return whether the credentials were good once."""
    return code_of(error) in _EXPIRED


def is_write_conflict(error: Exception) -> bool:
    """Return whether another conditional write was under way (409): try the whole write again."""
    return code_of(error) == "ConditionalRequestConflict"


def is_precondition_failure(error: Exception) -> bool:
    """Return whether the write's condition did not hold (412)."""
    return status_of(error) == HTTPStatus.PRECONDITION_FAILED


def is_missing(error: Exception) -> bool:
    """Return whether there is no such object; a missing bucket is another matter."""
    return status_of(error) == HTTPStatus.NOT_FOUND and code_of(error) in {"NoSuchKey", "404"}


def explain(error: Exception, operation: str, uri: str, attempts: int = 1) -> StorageError:
    """Return the error to raise for a failed request.

    Args:
        error: What the client raised.
        operation: The client's method, such as ``put_object``.
        uri: What was to be read or written.
        attempts: How often it was tried.
    """
    verb = operation.replace("_", " ")
    tried = f" after {attempts} attempts" if attempts > 1 else ""
    kind = NotFoundError if is_missing(error) else StorageError
    return kind(f"'{uri}': {verb} failed{tried}: {_meaning(error, operation, uri)}")


def _meaning(error: Exception, operation: str, uri: str) -> str:
    code, status = code_of(error), status_of(error)
    bucket = uri.removeprefix("s3://").partition("/")[0]
    if not status:
        return _unanswered(error)
    if is_expired(error):
        return (
            f"the credentials have expired ({code}). Sign in again (aws sso login), or use an "
            "instance role, which renews itself. Nothing that was stored before is affected."
        )
    known = _KNOWN.get(code, "").format(bucket=bucket, code=code)
    if known:
        return known
    if status == HTTPStatus.FORBIDDEN:
        return (
            f"access denied ({code}). Allow {_PERMISSIONS.get(operation, 's3:*')} on "
            f"arn:aws:s3:::{bucket} and arn:aws:s3:::{bucket}/*, or renew the credentials."
        )
    return f"the service answered {status} {code}. {_advice(status)}"


def _advice(status: int) -> str:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.CONFLICT:
        return "This passes by itself; what was stored before is still good. Try again."
    return "Check the bucket's policy and settings."


def _unanswered(error: Exception) -> str:
    name = type(error).__name__
    if "Credentials" in name or name in {"TokenRetrievalError", "ProfileNotFound"}:
        return (
            f"no usable credentials ({error}). Set AWS_PROFILE or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or run 'aws configure'."
        )
    if name in _TRANSIENT_TYPES:
        return (
            f"no answer ({error}). Check the network and AWS_ENDPOINT_URL; "
            "what was stored before is still good."
        )
    return f"{error}"
