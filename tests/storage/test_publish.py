"""Results appear once, whoever publishes them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from roboyard.storage.base import AlreadyExistsError
from roboyard.storage.local import LocalStore
from roboyard.storage.mirror.publish import publish_once
from roboyard.testing.faulty_s3 import Fault, FaultyS3


def test_the_first_result_stands(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    assert publish_once(store, "r.json", b"1").new
    assert not publish_once(store, "r.json", b"1").new
    with pytest.raises(AlreadyExistsError, match=r"published before with another content.*stands"):
        publish_once(store, "r.json", b"2")
    assert store.get("r.json").data == b"1"


def test_of_two_machines_with_the_same_result_one_is_new(make_s3_store, tmp_path: Path) -> None:
    store, file = make_s3_store(), tmp_path / "r"
    file.write_bytes(b"result")
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: publish_once(store, "r", file).new, range(4)))
    assert sorted(outcomes) == [False, False, False, True]


def test_conflicts_and_lost_answers_do_not_publish_twice(make_s3_store, s3: FaultyS3) -> None:
    store = make_s3_store()
    s3.fail(Fault(method="PUT", status=409, code="ConditionalRequestConflict"))
    s3.fail(Fault(method="PUT", done=True))
    assert publish_once(store, "r", b"x").new
    assert s3.count("^PUT .*/r") == 3
