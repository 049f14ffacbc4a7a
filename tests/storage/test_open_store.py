"""From URIs to stores, and what is said about wrong ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from roboyard.errors import MissingDependencyError, StorageError
from roboyard.storage import open_store


def test_folders_and_file_uris_are_local(tmp_path: Path) -> None:
    assert open_store(str(tmp_path)).uri == str(tmp_path)
    assert open_store(f"file://{tmp_path}").uri == str(tmp_path)
    assert open_store("runs").uri == str(Path.cwd() / "runs")


def test_opening_creates_nothing(tmp_path: Path) -> None:
    open_store(str(tmp_path / "new"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", ["s3://bucket/a/b", "s3://bucket/a/b/", "S3://bucket/a/b"])
def test_buckets_are_s3(uri: str) -> None:
    assert open_store(uri).uri == "s3://bucket/a/b"
    assert open_store("s3://bucket").uri == "s3://bucket"


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("gs://bucket/x", "scheme 'gs' is not known. Allowed: a folder"),
        ("s4://bucket/x", "Did you mean 's3'"),
        ("s3:///x", "cannot be a bucket's name"),
        ("s3://Big_Bucket!/x", "'Big_Bucket!' cannot be a bucket's name"),
        ("", "the store's name is empty"),
    ],
)
def test_wrong_uris_say_what_is_allowed(uri: str, said: str) -> None:
    with pytest.raises(StorageError, match=said):
        open_store(uri)


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="is a file; give a folder"):
        open_store(str(tmp_path / "file"))


def test_without_boto3_the_pip_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'roboyard\[aws\]'"):
        open_store("s3://bucket/x")
