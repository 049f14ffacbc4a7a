"""Both stores pass the published suite."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from roboyard.storage.base import Store
from roboyard.storage.local import LocalStore
from roboyard.testing.store_conformance import StoreConformance


class TestLocalStore(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return LocalStore(tmp_path / "store")


class TestLocalStoreWithoutHardLinks(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
        def refuse(*_: object) -> None:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "link", refuse)
        return LocalStore(tmp_path / "store")


class TestS3Store(StoreConformance):
    big_bytes = (10 << 20) + 17  # three parts

    @pytest.fixture
    def store(self, make_s3_store) -> Store:
        return make_s3_store()


class TestS3StoreWithoutPrefix(StoreConformance):
    @pytest.fixture
    def store(self, make_s3_store) -> Store:
        return make_s3_store("")
