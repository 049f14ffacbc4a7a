"""What every store must do, as a test class.

Subclass it in your tests and provide an empty store; pytest runs the rest::

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def store(self):
            return MyStore(...)
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from roboyard.errors import StorageError
from roboyard.storage.base import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    Store,
    join_key,
)

BAD_KEYS = (
    "", "/etc/passwd", "../up", "a/../b", "a/./b", "a//b", "a/", "a\\b", "a\nb", "a\0b",
    "x" * 901, "a/.b.tmp", ".b.lock",
)  # fmt: skip
GOOD_KEYS = ("a", "a b/c+d", "ä/ü.json", "x/.hidden", "%2e%2e/q?x=1&y#z", "a/-_.~!*'()")


class StoreConformance:
    """The suite; every test gets its own empty ``store``."""

    big_bytes = 3 << 20
    """Length of the largest object that is written [bytes]."""

    @pytest.fixture
    def store(self) -> Store:
        """Return an empty store."""
        raise NotImplementedError("override the 'store' fixture")

    def test_what_was_put_is_read_back(self, store: Store) -> None:
        """Bytes come back as they were, with their facts."""
        written = store.put("a/b", b"hello")
        data, info = store.get("a/b")
        assert data == b"hello"
        assert (info.key, info.size) == ("a/b", 5)
        assert info.version == written.version
        assert 0 <= info.age_s < 60

    def test_an_empty_object_is_an_object(self, store: Store) -> None:
        """Zero bytes are not the same as nothing."""
        store.put("empty", b"")
        assert store.get("empty").data == b""

    @pytest.mark.parametrize("key", GOOD_KEYS)
    def test_unusual_keys_work(self, store: Store, key: str) -> None:
        """Spaces, Unicode and URL characters need no escaping."""
        store.put(key, b"x")
        assert [info.key for info in store.list()] == [key]
        assert store.get(key).data == b"x"

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_bad_keys_are_refused(self, store: Store, key: str, tmp_path: Path) -> None:
        """No method accepts a key that could leave the store."""
        for action in (
            lambda: store.put(key, b""),
            lambda: store.get(key),
            lambda: store.stat(key),
            lambda: store.delete(key),
            lambda: store.download(key, tmp_path / "x"),
        ):
            with pytest.raises(StorageError, match="cannot be used"):
                action()

    def test_a_file_travels_both_ways(self, store: Store, tmp_path: Path) -> None:
        """A large file comes back bit for bit."""
        source, target = tmp_path / "source", tmp_path / "deep" / "target"
        source.write_bytes(hashlib.shake_128(b"seed").digest(self.big_bytes))
        info = store.put("big", source)
        assert info.size == self.big_bytes
        assert store.download("big", target).version == info.version
        assert target.read_bytes() == source.read_bytes()
        assert [path.name for path in target.parent.iterdir()] == ["target"]

    def test_what_is_missing_is_named(self, store: Store, tmp_path: Path) -> None:
        """Reading nothing is NotFoundError, and leaves no file behind."""
        for action in (lambda: store.get("no/x"), lambda: store.download("no/x", tmp_path / "x")):
            with pytest.raises(NotFoundError, match=r"no/x' does not exist"):
                action()
        assert store.stat("no/x") is None
        assert list(tmp_path.iterdir()) == []

    def test_listing_is_ordered_and_bounded_by_folders(self, store: Store) -> None:
        """A folder holds what is below it and nothing that merely starts alike."""
        for key in ("b", "a/2", "a/10/x", "ab/1", "a/1"):
            store.put(key, key.encode())
        assert [info.key for info in store.list()] == ["a/1", "a/10/x", "a/2", "ab/1", "b"]
        assert [info.key for info in store.list("a")] == ["a/1", "a/10/x", "a/2"]
        assert list(store.list("nothing")) == []
        for info in store.list():
            known = store.stat(info.key)
            assert known is not None
            assert (known.size, known.version) == (info.size, info.version)

    def test_putting_again_replaces(self, store: Store) -> None:
        """The newest content wins and has another version."""
        first = store.put("k", b"one")
        second = store.put("k", b"two")
        assert store.get("k").data == b"two"
        assert first.version != second.version

    def test_deleting_is_idempotent(self, store: Store) -> None:
        """Deleting what is not there is no error."""
        store.put("d/k", b"")
        store.delete("d/k")
        store.delete("d/k")
        assert store.stat("d/k") is None
        assert list(store.list()) == []

    def test_creating_happens_once(self, store: Store, tmp_path: Path) -> None:
        """The second creation fails and changes nothing, for bytes and files."""
        big = tmp_path / "big"
        big.write_bytes(bytes(self.big_bytes))
        store.put("once", b"first", if_absent=True)
        for source in (b"second", big):
            with pytest.raises(AlreadyExistsError, match=r"once' is already there"):
                store.put("once", source, if_absent=True)
        assert store.get("once").data == b"first"
        assert [info.key for info in store.list()] == ["once"]

    def test_of_many_creators_one_wins(self, store: Store) -> None:
        """Racing creators: one success, and the content is the winner's."""

        def create(name: int) -> int | None:
            try:
                store.put("race", str(name).encode(), if_absent=True)
            except AlreadyExistsError:
                return None
            return name

        with ThreadPoolExecutor(8) as pool:
            winners = [name for name in pool.map(create, range(8)) if name is not None]
        assert [store.get("race").data] == [str(name).encode() for name in winners]

    def test_swapping_needs_the_current_version(self, store: Store) -> None:
        """A stale version is refused, and nothing changes."""
        first = store.put("k", b"one")
        second = store.put("k", b"two", if_version=first.version)
        with pytest.raises(ConflictError, match="changed by somebody else"):
            store.put("k", b"three", if_version=first.version)
        assert store.get("k").data == b"two"
        store.delete("k")
        with pytest.raises(ConflictError):
            store.put("k", b"four", if_version=second.version)
        assert store.stat("k") is None

    def test_swaps_count_correctly_from_many_threads(self, store: Store) -> None:
        """No increment of a shared counter is lost."""
        store.put("n", b"0")

        def increment(_: int) -> None:
            while True:
                data, info = store.get("n")
                try:
                    store.put("n", str(int(data) + 1).encode(), if_version=info.version)
                except ConflictError:
                    continue
                return

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(increment, range(12)))
        assert store.get("n").data == b"12"

    def test_two_conditions_are_refused(self, store: Store) -> None:
        """A write has one condition at most."""
        with pytest.raises(StorageError, match="not both"):
            store.put("k", b"", if_absent=True, if_version="v")

    def test_a_missing_source_is_named(self, store: Store, tmp_path: Path) -> None:
        """A file that is not there stores nothing."""
        with pytest.raises(StorageError, match="absent"):
            store.put("k", tmp_path / "absent")
        assert store.stat("k") is None

    def test_the_uri_says_where_it_is(self, store: Store) -> None:
        """Errors can name the full address of an object."""
        with pytest.raises(NotFoundError) as caught:
            store.get("gone")
        assert join_key(store.uri, "gone") in str(caught.value)
