"""S3 misbehaving over real HTTP: the last good copy survives and the message says why."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from roboyard.errors import StorageError
from roboyard.storage.base import AlreadyExistsError, ConflictError
from roboyard.storage.retry import Retries
from roboyard.storage.s3.store import S3Store
from roboyard.testing.faulty_s3 import Fault, FaultyS3

BIG = (10 << 20) + 5  # three parts of 5 MiB


@pytest.fixture
def store(make_s3_store) -> S3Store:
    return make_s3_store()


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big"
    path.write_bytes(b"new" + bytes(BIG - 3))
    return path


PASSING = [
    Fault(),
    Fault(status=503, code="ServiceUnavailable"),
    Fault(status=503, code="SlowDown"),
    Fault(status=409, code="ConditionalRequestConflict"),
    Fault(cut=True),
]
names = [fault.code if not fault.cut else "cut" for fault in PASSING]


@pytest.mark.parametrize("fault", PASSING, ids=names)
def test_faults_that_pass_are_survived(store: S3Store, s3: FaultyS3, fault: Fault) -> None:
    for method in ("PUT", "GET"):
        s3.fail(Fault(**(vars(fault) | {"method": method})), times=3)
    store.put("k", b"x" * 100)
    assert store.get("k").data == b"x" * 100
    assert s3.count("^PUT .*/k") == s3.count("^GET .*/k") == 4


@pytest.mark.parametrize(("fault", "said"), list(zip(PASSING, names, strict=True)), ids=names)
def test_faults_that_stay_leave_the_good_copy(
    store: S3Store, s3: FaultyS3, fault: Fault, said: str
) -> None:
    store.put("k", b"good")
    s3.fail(Fault(**(vars(fault) | {"method": "PUT"})), times=4)
    expected = "Check the network" if fault.cut else f"answered {fault.status} {said}"
    with pytest.raises(StorageError, match=f"s3://bucket/runs/k.*after 4 attempts.*{expected}"):
        store.put("k", b"bad")
    assert store.get("k").data == b"good"


@pytest.mark.parametrize("fault", PASSING, ids=names)
def test_a_failing_part_is_sent_again(
    store: S3Store, s3: FaultyS3, big: Path, tmp_path: Path, fault: Fault
) -> None:
    s3.fail(Fault(**(vars(fault) | {"match": "partNumber=2"})), times=3)
    store.put("k", big)
    store.download("k", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == big.read_bytes()
    assert s3.count("partNumber=1") == s3.count("partNumber=3") == 1


@pytest.mark.parametrize("stage", ["partNumber=2", "^/bucket/runs/k.uploadId=[^&]*$"])
def test_an_upload_that_fails_in_the_middle_leaves_nothing_but_the_good_copy(
    store: S3Store, s3: FaultyS3, big: Path, stage: str
) -> None:
    store.put("k", b"good")
    s3.fail(Fault(match=stage, cut=True, method="PUT" if "part" in stage else "POST"), times=4)
    with pytest.raises(StorageError, match="no answer"):
        store.put("k", big)
    assert store.get("k").data == b"good"
    assert s3.count("^DELETE .*uploadId") == 1, "the parts are removed"


@pytest.mark.parametrize(("times", "arrives"), [(2, True), (4, False)], ids=["passes", "stays"])
def test_a_timeout_in_the_middle_of_an_upload_costs_no_good_copy(
    make_s3_store, s3: FaultyS3, big: Path, tmp_path: Path, times: int, arrives: bool
) -> None:
    store = make_s3_store(read_timeout_s=0.3)
    store.put("k", b"good")
    s3.fail(Fault(method="PUT", match="partNumber=2", delay_s=1.5), times=times)
    if arrives:
        store.put("k", big)
        store.download("k", tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == big.read_bytes()
        return
    with pytest.raises(StorageError, match=r"s3://bucket/runs/k.*after 4 attempts.*no answer"):
        store.put("k", big)
    assert store.get("k").data == b"good"
    assert s3.count("^DELETE .*uploadId") == 1, "the parts are removed"


def test_a_multipart_conflict_starts_the_upload_again(
    store: S3Store, s3: FaultyS3, big: Path
) -> None:
    conflict = Fault(method="POST", match="uploadId", status=409, code="ConditionalRequestConflict")
    s3.fail(conflict)
    store.put("k", big, if_absent=True)
    assert s3.count("^POST .*uploads=?$") == 2


def test_creating_whose_answer_got_lost_counts_as_done(
    store: S3Store, s3: FaultyS3, big: Path
) -> None:
    s3.fail(Fault(method="PUT", done=True))
    store.put("small", b"mine", if_absent=True)
    s3.fail(Fault(method="POST", match="uploadId", done=True, cut=True))
    store.put("big", big, if_absent=True)
    assert s3.count("^PUT .*/small") == 2


def test_swapping_whose_answer_got_lost_counts_as_done(store: S3Store, s3: FaultyS3) -> None:
    first = store.put("k", b"one")
    s3.fail(Fault(method="PUT", done=True, cut=True))
    second = store.put("k", b"two", if_version=first.version)
    assert store.get("k").info.version == second.version
    with pytest.raises(ConflictError):
        store.put("k", b"three", if_version=first.version)


def test_somebody_elses_object_is_not_taken_for_ours_after_a_retry(
    store: S3Store, s3: FaultyS3
) -> None:
    store.put("k", b"theirs")
    s3.fail(Fault(method="PUT"))
    with pytest.raises(AlreadyExistsError):
        store.put("k", b"ours", if_absent=True)


def test_a_broken_download_goes_on_where_it_broke(
    store: S3Store, s3: FaultyS3, big: Path, tmp_path: Path
) -> None:
    store.put("k", big)
    s3.fail(Fault(method="GET", cut=True), times=2)
    store.download("k", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == big.read_bytes()


def test_an_object_replaced_during_its_download_is_fetched_anew(
    store: S3Store, s3: FaultyS3, tmp_path: Path
) -> None:
    store.put("k", b"x" * 1000)
    s3.fail(Fault(method="GET", cut=True))
    s3.fail(Fault(method="GET", status=412, code="PreconditionFailed"))  # of the other version
    store.download("k", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"x" * 1000
    assert s3.count("^GET .*/k") == 3


def test_a_download_that_fails_leaves_the_old_file(
    store: S3Store, s3: FaultyS3, tmp_path: Path
) -> None:
    store.put("k", b"new")
    target = tmp_path / "target"
    target.write_bytes(b"old")
    s3.fail(Fault(method="GET", cut=True), times=4)
    with pytest.raises(StorageError, match="no answer"):
        store.download("k", target)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("target", b"old")]


def test_damage_in_the_bucket_is_found(store: S3Store, s3: FaultyS3, tmp_path: Path) -> None:
    store.put("k", b"precious" * 100)
    s3.damage("runs/k")
    for read in (lambda: store.get("k"), lambda: store.download("k", tmp_path / "x")):
        with pytest.raises(StorageError, match=r"s3://bucket/runs/k' is damaged: its SHA-256"):
            read()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (400, "ExpiredToken", "credentials have expired.*Nothing that was stored before"),
        (403, "AccessDenied", r"Allow s3:PutObject on arn:aws:s3:::bucket"),
        (403, "InvalidAccessKeyId", "credentials are not valid"),
        (301, "PermanentRedirect", "another region; set AWS_REGION"),
        (404, "NoSuchBucket", "bucket 'bucket' does not exist.*aws s3 mb s3://bucket"),
    ],
)
def test_refusals_say_what_to_do_and_are_not_repeated(
    store: S3Store, s3: FaultyS3, status: int, code: str, said: str
) -> None:
    store.put("k", b"good")
    s3.fail(Fault(method="PUT", status=status, code=code), times=2)
    with pytest.raises(StorageError, match=said):
        store.put("k", b"bad")
    assert s3.count("^PUT .*/k") <= 3
    s3.heal()
    assert store.get("k").data == b"good"


def test_renewed_credentials_are_picked_up(store: S3Store, s3: FaultyS3) -> None:
    s3.fail(Fault(method="PUT", status=400, code="ExpiredToken"))
    store.put("k", b"x")
    assert store.get("k").data == b"x"


def test_a_missing_bucket_is_named(s3: FaultyS3, make_s3_store) -> None:
    del make_s3_store
    from roboyard.storage.s3.client import S3Options

    lost = S3Store("no-such-bucket", "", S3Options(endpoint_url=s3.url))
    for action in (lambda: list(lost.list()), lambda: lost.put("k", b""), lambda: lost.get("k")):
        with pytest.raises(StorageError, match="aws s3 mb s3://no-such-bucket"):
            action()


def test_an_endpoint_that_does_not_answer_is_named(make_s3_store) -> None:
    store = make_s3_store(endpoint_url="http://127.0.0.1:9", retries=Retries(2, 0.001))
    with pytest.raises(StorageError, match=r"after 2 attempts: no answer.*127\.0\.0\.1:9"):
        store.put("k", b"")


def test_missing_credentials_are_named(make_s3_store, monkeypatch) -> None:
    store = make_s3_store()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(StorageError, match=r"no usable credentials.*aws configure"):
        store.put("k", b"")


def test_a_file_that_changes_during_its_upload_stores_nothing(
    store: S3Store, s3: FaultyS3, big: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from roboyard.storage.s3 import store as module

    def scan_then_change(path: Path, part_bytes: int) -> object:
        digest = real_scan(path, part_bytes)
        path.write_bytes(b"other" + bytes(BIG - 5))
        return digest

    real_scan = module.scan
    monkeypatch.setattr(module, "scan", scan_then_change)
    with pytest.raises(StorageError, match="changed while it was being uploaded"):
        store.put("k", big)
    assert store.stat("k") is None
    assert s3.count("^DELETE .*uploadId") == 1


def test_no_thread_and_no_global_randomness_is_left(
    store: S3Store, s3: FaultyS3, big: Path
) -> None:
    import random

    state, threads = random.getstate(), threading.active_count()
    s3.fail(Fault(match="partNumber=2"), times=2)
    store.put("k", big)
    assert random.getstate() == state
    assert [t for t in threading.enumerate() if t.name.startswith("s3-part")] == []
    assert threading.active_count() <= threads + 3  # the server's own handlers
