"""Whatever file of a run is damaged, the newest intact checkpoint goes on and nothing is lost."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from training_runs import fingerprint, rows, tiny_config, train

from roboyard.errors import StorageError
from roboyard.runs.audit import verify_run
from roboyard.runs.ownership import work_folder
from roboyard.runs.resume import config_of
from roboyard.storage import open_store
from roboyard.storage.local import LocalStore
from roboyard.storage.mirror.cache import bring_up_to_date, newest_intact
from roboyard.storage.mirror.push import Mirror
from roboyard.storage.mirror.remote_run import RemoteRun
from roboyard.storage.mirror.run_layout import checkpoint_of, is_private, is_published
from roboyard.testing.faulty_s3 import FaultyS3

DAMAGES = ("flip", "cut", "remove")
URI = "s3://bucket/runs/tiny/a"


EACH_DAMAGE = pytest.mark.parametrize(
    ("kind", "every"),
    [
        *((kind, 18) for kind in DAMAGES),
        *(pytest.param(kind, 1, marks=pytest.mark.slow) for kind in DAMAGES),
    ],
)
"""Some files in the default suite, all files in the slow one."""


def sample(run: Path, kind: str, every: int) -> list[str]:
    """Return every n-th file of a run, other ones for each kind of damage."""
    return files_of(run)[3 * DAMAGES.index(kind) % every :: every]


def damage(path: Path, kind: str, generator: random.Random) -> None:
    """Flip a byte of a file, cut it short, or remove it."""
    if kind == "remove":
        path.unlink()
        return
    content = bytearray(path.read_bytes())
    at = generator.randrange(len(content))
    if kind == "cut":
        del content[at:]
    else:
        content[at] ^= generator.randrange(1, 256)
    path.write_bytes(content)


def files_of(run: Path) -> list[str]:
    keys = (path.relative_to(run).as_posix() for path in sorted(run.rglob("*")) if path.is_file())
    return [key for key in keys if not (is_private(key) or is_published(key) or "/." in f"/{key}")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of SAC, whose checkpoints share segments."""
    folder = tmp_path_factory.mktemp("intact")
    steps = ("train.total_steps=96", "checkpoint.every_steps=32", "evaluation.every_steps=48")
    return train(tiny_config(folder, "SAC", overrides=steps), run_id="a").run_dir


@EACH_DAMAGE
def test_what_is_damaged_in_a_copy_is_never_sent_and_is_mended_from_the_store(
    kind: str, every: int, run: Path, tmp_path: Path
) -> None:
    generator = random.Random(kind)
    store = LocalStore(tmp_path / "store")
    Mirror(run, store).push()
    stored = {info.key: store.get(info.key).data for info in store.list()}
    for number, key in enumerate(sample(run, kind, every)):
        copy = tmp_path / str(number)
        shutil.copytree(run, copy)
        damage(copy / key, kind, generator)
        (copy / "lease.json").unlink()
        with RemoteRun.open(store, copy) as opened:
            found = newest_intact(copy)
            assert found is not None
            assert opened.mirror.error is None
        assert found.step == 96, f"{key}: the newest intact checkpoint is in the store"
        changed = {k for k in stored if not is_private(k) and store.get(k).data != stored[k]}
        derived = {k for k in changed if k.startswith(("report/", "videos/"))}  # made anew
        assert changed - derived <= {"train.log", "config.yaml", "provenance.json"}, key
        if not changed and not checkpoint_of(key):
            assert (copy / key).read_bytes() == stored[key], key
        Mirror(run, store).push()
        shutil.rmtree(copy)


@EACH_DAMAGE
def test_what_is_damaged_in_the_store_is_taken_from_the_copy_and_sent_again(
    kind: str, every: int, run: Path, tmp_path: Path
) -> None:
    generator = random.Random(kind)
    for number, key in enumerate(sample(run, kind, every)):
        if key in {"train.log", "config.yaml", "provenance.json"} or key.endswith(".jsonl"):
            continue  # a store without checksums cannot tell that these were altered
        store, copy = LocalStore(tmp_path / f"store-{number}"), tmp_path / f"copy-{number}"
        Mirror(run, store).push()
        shutil.copytree(run, copy)
        (copy / "lease.json").unlink()
        damage(store.root / key, kind, generator)
        with RemoteRun.open(store, copy):
            pass
        assert verify_run(store).problems == (), key
        assert {folder[-12:] for folder in verify_run(store).checkpoints} == {
            path.parent.name for path in run.glob("checkpoints/*/MANIFEST.json")
        }, key
        shutil.rmtree(store.root)
        shutil.rmtree(copy)


def test_a_bucket_keeps_its_good_checkpoints_when_the_machines_copy_is_damaged(
    s3: FaultyS3, tmp_path: Path
) -> None:
    config = tiny_config(tmp_path, "SAC", overrides=("store=s3://bucket/runs",))
    done = train(config, run_id="a")
    whole = fingerprint(done.run_dir)
    before = verify_run(open_store(URI)).checkpoints
    assert len(before) == 3
    generator = random.Random(1)
    for path in work_folder(URI).glob("checkpoints/*/policy.safetensors"):
        damage(path, "flip", generator)
    again = train(config_of(URI), resume_from=URI)
    audit = verify_run(open_store(URI))
    assert (audit.problems, audit.checkpoints) == ((), before)
    assert fingerprint(again.run_dir) == whole


def test_an_older_intact_checkpoint_in_the_copy_counts_when_the_newer_in_the_store_is_damaged(
    run: Path, tmp_path: Path
) -> None:
    store, copy = LocalStore(tmp_path / "store"), tmp_path / "copy"
    Mirror(run, store).push()
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "checkpoints" / f"{96:012d}")
    (store.root / "checkpoints" / f"{96:012d}" / "loop.json").unlink()
    report = bring_up_to_date(store, copy)
    assert report.checkpoint is None
    assert f"{96:012d}" in report.problems[0]
    found = newest_intact(copy)
    assert found is not None
    assert found.step == 64


def test_with_no_intact_checkpoint_anywhere_nothing_is_removed(run: Path, tmp_path: Path) -> None:
    store, copy = LocalStore(tmp_path / "store"), tmp_path / "copy"
    Mirror(run, store).push()
    shutil.copytree(run, copy)
    for root in (store.root, copy):
        for path in root.glob("checkpoints/*/loop.json"):
            path.write_bytes(b"{}")
    before = files_of(store.root)
    (copy / "lease.json").unlink()
    with pytest.raises(StorageError, match=r"none of the 3 checkpoints .* can be used"):
        RemoteRun.open(store, copy)
    assert files_of(store.root) == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("where", ["copy", "store"])
def test_a_run_in_a_bucket_ends_the_same_whatever_was_damaged_before_it_was_continued(
    where: str, kind: str, s3: FaultyS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(tmp_path, "SAC", overrides=("store=s3://bucket/runs",))
    extended = config.model_copy(
        update={"train": config.train.model_copy(update={"total_steps": 240})}
    )
    whole = train(
        extended.model_copy(update={"store": str(tmp_path)}), run_id="whole", resume_from=None
    ).run_dir
    generator = random.Random(kind + where)
    train(config, run_id="a")
    folder = work_folder(URI)
    backup = tmp_path / "backup"
    shutil.copytree(folder, backup)
    store = open_store(URI)
    for key in files_of(folder):
        for info in list(store.list()):
            store.delete(info.key)
        shutil.rmtree(folder)
        shutil.copytree(backup, folder)
        Mirror(backup, store).push()
        if where == "copy":
            damage(folder / key, kind, generator)
        else:
            path = tmp_path / Path(key).name
            shutil.copyfile(backup / key, path)
            damage(path, kind, generator)
            store.put(key, path) if path.exists() else store.delete(key)
        if key == "config.yaml":
            continue
        again = train(extended, resume_from=URI).run_dir
        assert fingerprint(again) == fingerprint(whole), key
        for name in ("metrics.jsonl", "evaluations.jsonl"):
            if not (where == "store" and key == name):
                assert rows(again / name) == rows(whole / name), (key, name)
