"""Whatever bytes a bundle holds: a PolicyError or the same policy, nothing run, nothing written.

Hypothesis edits bundles at every level: file, archive, manifest, weights, graph. An audit hook of
the interpreter sees every file that is opened for writing, every process, socket and pickled class
meanwhile. The slow form tries fifty times as many.
"""

import contextlib
import copy
import hashlib
import io
import json
import os
import pickle
import sys
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roboyard.errors import PolicyError
from roboyard.policies import PolicyBundle
from roboyard.policies.bundle.layout import MANIFEST_PART, ONNX_PART, POLICY_PART
from roboyard.policies.export.finalize import export
from roboyard.policies.runtime.policy import RuntimePolicy
from roboyard.testing.fake_envs import FakeEnv

OBSERVATION = np.zeros((1, 3), np.float32)
FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen")
FORBIDDEN += ("pickle.find_class", "socket.connect", "os.rename", "os.remove", "os.mkdir")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
SEEN = []
WATCHING = []


def audit(event, arguments):
    if not WATCHING:
        return
    if event in FORBIDDEN or (event == "open" and (arguments[2] or 0) & WRITES):
        SEEN.append((event, arguments))


sys.addaudithook(audit)  # A hook cannot be taken away, so it is told when to look.


@contextlib.contextmanager
def nothing_happens():
    SEEN.clear()
    WATCHING.append(True)
    try:
        yield
    finally:
        WATCHING.pop()
    assert SEEN == []


class Bomb:
    def __reduce__(self):
        return (os.mkdir, (os.curdir,))


def fuzz(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture
def complete(bundle_path):
    export(bundle_path, make_env=FakeEnv, observations=5)
    return bundle_path


def parts_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(manifest, parts):
    """Return a bundle whose digests are right, so that what is behind them is reached."""
    manifest = dict(manifest)
    manifest["parts"] = {
        name: {"sha256": hashlib.sha256(content).hexdigest()} for name, content in parts.items()
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {MANIFEST_PART: json.dumps(manifest).encode(), **parts}.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def both(path):
    """Act with the network and with the graph; a refusal is None."""
    found = []
    with nothing_happens():
        for act in (
            lambda: PolicyBundle.read(path).policy().predict(OBSERVATION).actions,
            lambda: RuntimePolicy.open(path).act(OBSERVATION).actions,
        ):
            try:
                found.append(act())
            except PolicyError as error:
                assert "\n" not in str(error)
                found.append(None)
    return found


EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(["flip", "cut", "put"]), st.binary(max_size=8)),
    min_size=1,
    max_size=4,
)


def edited(content, edits):
    data = bytearray(content)
    for share, kind, piece in edits:
        place = int(share * (len(data) - 1)) if data else 0
        if kind == "flip" and data:
            data[place] ^= (piece or b"\1")[0] or 1
        elif kind == "cut":
            del data[place : place + 1 + len(piece)]
        else:
            data[place:place] = piece
    return bytes(data)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["", "inf", "SAC", "os:system", "../../x", "float64", "box", "a" * 300])
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from(["shape", "n"]), inner, max_size=3)
    ),
    max_leaves=6,
)
CHANGES = st.lists(st.tuples(st.integers(0, 10**6), JSON), min_size=1, max_size=3)


def places(value, prefix=()):
    """Yield the way to every value of a JSON tree."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in pairs:
        yield (*prefix, key)
        if isinstance(part, dict | list):
            yield from places(part, (*prefix, key))


def changed(tree, changes):
    tree = copy.deepcopy(tree)
    for index, value in changes:
        found = list(places(tree))
        if not found:
            break
        *way, last = found[index % len(found)]
        inside = tree
        for key in way:
            inside = inside[key]
        inside[last] = value
    return tree


def at_two_depths(test):
    """Run a property with few examples by default and with many under the marker ``slow``."""
    return pytest.mark.parametrize(
        "examples", [40, pytest.param(2000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
    )(test)


def test_what_must_not_happen_would_be_seen(tmp_path):
    for crime in (
        lambda: (tmp_path / "x").write_bytes(b""),
        lambda: os.system("true"),
        lambda: pickle.loads(pickle.dumps(Bomb())),
    ):
        with pytest.raises((AssertionError, FileExistsError)), nothing_happens():
            crime()
        assert SEEN


@at_two_depths
def test_an_edited_file_is_refused_or_the_same(complete, tmp_path, examples):
    good, expected = complete.read_bytes(), both(complete)
    path = tmp_path / "edited.zip"

    @fuzz(examples)
    @given(EDITS)
    def property_(edits):
        path.write_bytes(edited(good, edits))
        for found, own in zip(both(path), expected, strict=True):
            assert found is None or np.array_equal(found, own)

    property_()


NAMES = st.sampled_from(
    ["../x", "/x", "a/b", "..", "x\\y", "C:x", "", ".x", MANIFEST_PART, POLICY_PART, "x.pkl"]
) | st.text(max_size=8)
CONTENTS = st.sampled_from([pickle.dumps(Bomb()), b"{}", b"[]", bytes(10_000)]) | st.binary(
    max_size=50
)


@at_two_depths
def test_a_strange_archive_is_refused_and_nothing_of_it_lands_anywhere(
    complete, tmp_path, monkeypatch, examples
):
    parts = parts_of(complete.read_bytes())
    manifest = json.loads(parts.pop(MANIFEST_PART))
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    path = tmp_path / "strange.zip"

    @fuzz(examples)
    @given(
        st.lists(st.tuples(NAMES, CONTENTS), max_size=5),
        st.booleans(),
        st.booleans(),
        st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]),
    )
    def property_(strangers, is_whole, is_listed, compression):
        entries = list(parts.items()) if is_whole else []
        listed = dict(manifest)
        if is_listed:
            digests = {
                name: {"sha256": hashlib.sha256(content).hexdigest()}
                for name, content in [*entries, *strangers]
            }
            listed["parts"] = digests
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, content in [
                (MANIFEST_PART, json.dumps(listed).encode()), *entries, *strangers,
            ]:  # fmt: skip
                info = zipfile.ZipInfo("x")
                info.filename, info.compress_type = name, compression
                archive.writestr(info, content)
        both(path)
        assert list(folder.iterdir()) == []

    with warnings.catch_warnings(action="ignore"):  # Of names that are there twice.
        property_()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(
        {complete.name, "empty", "strange.zip"}
    )


@at_two_depths
def test_a_changed_manifest_is_refused_or_loads(complete, tmp_path, examples):
    parts = parts_of(complete.read_bytes())
    manifest = json.loads(parts.pop(MANIFEST_PART))
    path = tmp_path / "changed.zip"

    @fuzz(examples)
    @given(CHANGES)
    def property_(changes):
        tree = changed(manifest, changes)
        path.write_bytes(packed(tree, parts))
        both(path)

    property_()


@at_two_depths
def test_changed_weights_are_refused_or_load(complete, tmp_path, examples):
    parts = parts_of(complete.read_bytes())
    manifest = json.loads(parts.pop(MANIFEST_PART))
    weights = parts[POLICY_PART]
    size = int.from_bytes(weights[:8], "little")
    header = json.loads(weights[8 : 8 + size])
    path = tmp_path / "weights.zip"

    @fuzz(examples)
    @given(CHANGES, EDITS, st.booleans())
    def property_(changes, edits, is_structured):
        content = edited(weights, edits)
        if is_structured:
            text = json.dumps(changed(header, changes)).encode()
            content = len(text).to_bytes(8, "little") + text + weights[8 + size :]
        path.write_bytes(packed(manifest, {**parts, POLICY_PART: content}))
        both(path)

    property_()


@at_two_depths
def test_a_changed_graph_is_refused_or_acts_in_bounds(complete, tmp_path, examples):
    parts = parts_of(complete.read_bytes())
    manifest = json.loads(parts.pop(MANIFEST_PART))
    path = tmp_path / "graph.zip"

    @fuzz(examples)
    @given(EDITS)
    def property_(edits):
        graph = edited(parts[ONNX_PART], edits)
        path.write_bytes(packed(manifest, {**parts, ONNX_PART: graph}))
        both(path)

    property_()
