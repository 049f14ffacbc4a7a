"""A bucket as a store: Amazon S3 or anything that speaks its protocol."""

from roboyard.storage.s3.store import S3Store

__all__ = ["S3Store"]
