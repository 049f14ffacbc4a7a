"""What only a folder can get wrong: full disks, foreign files, killed writers."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from roboyard.errors import StorageError
from roboyard.storage.atomic import cannot
from roboyard.storage.local import LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.mark.parametrize("condition", ["none", "if_absent", "if_version"])
def test_a_write_that_runs_out_of_room_leaves_the_good_copy(
    store: LocalStore, condition: str
) -> None:
    good = store.put("k", b"good")
    conditions = {"none": {}, "if_absent": {"if_absent": True}}
    arguments = conditions.get(condition, {"if_version": good.version})
    key = "new" if condition == "if_absent" else "k"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # as if the disk were full
    try:
        with pytest.raises(StorageError, match=f"cannot write '.*/{key}': File too large"):
            store.put(key, bytes(8192), **arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.get("k").data == b"good"
    assert [info.key for info in store.list()] == ["k"]
    assert not list(store.root.glob("*.tmp")) + list(store.root.glob(".*.tmp"))


def test_a_full_disk_is_explained() -> None:
    error = cannot("write", Path("/x/y"), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert str(error) == (
        "cannot write '/x/y': No space left on device. "
        "Free some space there, or choose another folder."
    )


def test_a_folder_in_the_way_is_explained(store: LocalStore) -> None:
    store.put("a/b", b"")
    with pytest.raises(StorageError, match=r"cannot write '.*/a'"):
        store.put("a", b"")
    with pytest.raises(StorageError, match=r"cannot write '.*/a/b/c'"):
        store.put("a/b/c", b"")
    assert store.stat("a") is None
    assert store.stat("a/b/c") is None
    store.delete("a/b/c")


def test_a_killed_writer_leaves_the_old_object_and_frees_its_lock(store: LocalStore) -> None:
    version = store.put("k", b"good").version
    script = (
        "import os, signal, sys, pathlib\n"
        "from roboyard.storage import local\n"
        "local._fill = lambda key, target, source: (\n"
        "    target.write_bytes(b'half'), os.kill(os.getpid(), signal.SIGKILL))\n"
        "local.LocalStore(sys.argv[1]).put('k', b'never', if_version=sys.argv[2])\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, store.uri, version], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert store.get("k").data == b"good"
    assert [info.key for info in store.list()] == ["k"]
    store.put("k", b"better", if_version=version)
    assert store.get("k").data == b"better"


def test_objects_are_readable_by_whom_the_umask_allows(store: LocalStore) -> None:
    old = os.umask(0o027)
    try:
        store.put("k", b"")
        store.put("new", b"", if_absent=True)
    finally:
        os.umask(old)
    assert {path.stat().st_mode & 0o777 for path in store.root.iterdir()} == {0o640}


def test_files_that_no_key_can_name_are_not_listed(store: LocalStore) -> None:
    store.put("k", b"")
    (store.root / "back\\slash").touch()
    (store.root / ".k.123.tmp").touch()
    assert [info.key for info in store.list()] == ["k"]


def test_deleting_the_last_object_removes_its_folders(store: LocalStore) -> None:
    first = store.put("a/b/c", b"")
    store.put("a/b/c", b"x", if_version=first.version)  # leaves a lock file
    store.put("a/d", b"")
    store.delete("a/b/c")
    assert [path.name for path in (store.root / "a").iterdir()] == ["d"]
