"""Whatever is wrong with a bundle is one PolicyError; nothing is executed or written."""

import hashlib
import io
import json
import pickle
import zipfile

import numpy as np
import pytest
import safetensors.numpy

from roboyard.errors import PolicyError
from roboyard.policies import PolicyBundle, load_policy

EXECUTED = []


class Bomb:
    def __reduce__(self):
        return (EXECUTED.append, ("boom",))


def read_parts(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_parts(path, parts, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def edit(path, change, **replaced):
    """Rewrite a bundle with another manifest or other parts, digests corrected."""
    parts = read_parts(path) | {name.replace("_", "."): value for name, value in replaced.items()}
    manifest = json.loads(parts.pop("bundle.json"))
    for name, content in parts.items():
        manifest["parts"][name] = {"sha256": hashlib.sha256(content).hexdigest()}
    change(manifest)
    write_parts(path, {"bundle.json": json.dumps(manifest), **parts})


def assert_refused(path, message):
    with pytest.raises(PolicyError, match=message) as caught:
        PolicyBundle.read(path).policy()
    assert "\n" not in str(caught.value)
    assert not EXECUTED


def test_every_flipped_byte_is_refused_or_harmless(bundle_path, tmp_path):
    good = bundle_path.read_bytes()
    observation = np.zeros(3, np.float32)
    expected = load_policy(bundle_path).predict(observation).actions
    rng = np.random.default_rng(0)
    headers = [*range(60), *range(len(good) - 300, len(good))]
    places = [*headers, *rng.integers(0, len(good), 300)]
    copy, refused = tmp_path / "copy.zip", 0
    for place in places:
        data = bytearray(good)
        data[place] ^= 1 << int(rng.integers(8))
        copy.write_bytes(data)
        try:
            actions = load_policy(copy).predict(observation).actions
        except PolicyError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            assert np.array_equal(actions, expected)
    assert refused > 0.7 * len(places)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(bundle_path, share):
    data = bundle_path.read_bytes()
    bundle_path.write_bytes(data[: int(share * len(data))])
    assert_refused(bundle_path, "is damaged or not a policy bundle")


@pytest.mark.parametrize("content", [b"", b"PK", b"hello", pickle.dumps(Bomb())], ids=str)
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / "policy.zip"
    path.write_bytes(content)
    assert_refused(path, "is damaged or not a policy bundle")


@pytest.mark.parametrize(
    "name", ["../evil", "/tmp/evil", "a/b", "..", "C:\\evil", " ", ".hidden", "policy\n.zip"]
)
def test_part_names_that_could_leave_a_folder_are_refused(bundle_path, name):
    parts = read_parts(bundle_path) | {name: b"x"}
    write_parts(bundle_path, parts)
    assert_refused(bundle_path, "a name that is not a plain file name")


def test_a_compressed_part_is_refused_so_that_no_bomb_can_unfold(bundle_path):
    parts = read_parts(bundle_path) | {"bomb": bytes(10_000_000)}
    write_parts(bundle_path, parts, zipfile.ZIP_DEFLATED)
    assert bundle_path.stat().st_size < 100_000
    assert_refused(bundle_path, "is compressed")


def test_too_many_parts_are_refused(bundle_path):
    write_parts(bundle_path, {f"part{index}": b"" for index in range(600)})
    assert_refused(bundle_path, "600 parts, more than 512")


def test_a_part_that_is_there_twice_is_refused(bundle_path):
    warning = pytest.warns(UserWarning, match="Duplicate name")
    with zipfile.ZipFile(bundle_path, "a") as archive, warning:
        archive.writestr("bundle.json", b"{}")
    assert_refused(bundle_path, "'bundle.json' is there twice")


def test_a_part_that_claims_to_be_larger_than_the_file_is_refused(bundle_path):
    data = bytearray(bundle_path.read_bytes())
    place = data.find(b"PK\x01\x02")
    data[place + 20 : place + 28] = b"\xff\xff\xff\x7f" * 2
    bundle_path.write_bytes(data)
    assert_refused(bundle_path, "claim more bytes than the file has")


def test_a_foreign_part_is_refused_and_a_listed_one_is_ignored(bundle_path):
    parts = read_parts(bundle_path)
    write_parts(bundle_path, parts | {"evil.pkl": pickle.dumps(Bomb())})
    assert_refused(bundle_path, "missing or not listed: evil.pkl")
    write_parts(bundle_path, parts)
    edit(bundle_path, lambda manifest: manifest.update(later="addition"), policy_onnx=b"graph")
    assert load_policy(bundle_path).predict(np.zeros(3, np.float32)).actions.shape == (2,)


def test_a_missing_part_is_refused(bundle_path):
    parts = read_parts(bundle_path)
    del parts["policy.safetensors"]
    write_parts(bundle_path, parts)
    assert_refused(bundle_path, "missing or not listed: policy.safetensors")
    del parts["bundle.json"]
    write_parts(bundle_path, parts)
    assert_refused(bundle_path, "has no bundle.json")


def test_another_content_than_the_digest_says_is_refused(bundle_path):
    parts = read_parts(bundle_path)
    parts["policy.safetensors"] = parts["policy.safetensors"][:-1] + b"\x00"
    write_parts(bundle_path, parts)
    assert_refused(bundle_path, "SHA-256 of part 'policy.safetensors' does not match")


@pytest.mark.parametrize("version", [2, 0, "1", None, True, 1.5])
def test_an_unknown_format_version_says_which_are_read(bundle_path, version):
    edit(bundle_path, lambda manifest: manifest.update(format_version=version))
    assert_refused(bundle_path, "this release reads 1. Upgrade roboyard")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "bundle.json is not JSON"),
        (b"\xff\xfe", "bundle.json is not JSON"),
        (b"[]", "its format is not 'roboyard-policy'"),
        (b"{}", "its format is not 'roboyard-policy'"),
        (b"[" * 100_000, "bundle.json is not JSON"),
        (b'{"format": "roboyard-policy", "format_version": 1}', "bundle.json: algorithm: Field"),
    ],
    ids=["empty", "binary", "list", "object", "deep", "incomplete"],
)
def test_a_wrong_manifest_is_refused(bundle_path, content, message):
    write_parts(bundle_path, read_parts(bundle_path) | {"bundle.json": content})
    assert_refused(bundle_path, message)


def actor(manifest):
    return manifest["config"]["agent"]["network"]


HUGE = 60_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: actor(m).update(actor=[HUGE, HUGE]), "layers of 3600000000 weights"),
        (lambda m: actor(m).update(critic=[HUGE]), "weights, but it holds only"),
        (lambda m: actor(m).update(actor=[9, 9]), "do not fit each other"),
        (lambda m: actor(m).update(activation="rleu"), "do not fit each other.*unknown activation"),
        (lambda m: actor(m).update(activation="os:abort"), "names code outside Roboyard"),
        (
            lambda m: actor(m)["extractor"].update(type="this:Zen"),
            "agent.network.extractor.type: 'this:Zen'.*trust_code=True",
        ),
        (lambda m: m["config"].update(surprise=1), "config does not fit this release: surprise"),
        (lambda m: m["config"].update({"a\n\x1b[31mb": 1}), r"this release: a  \[31mb: Extra"),
        (lambda m: m["config"]["agent"].update(algorithm="SAC"), "config does not fit"),
        (lambda m: m["observation_space"].update(shape=[4]), "normaliser has statistics of shape"),
        (lambda m: m["observation_space"].update(type="x"), "description of a space is wrong"),
        (lambda m: m["action_space"].update(shape=[HUGE], low=0.0, high=1.0), "do not fit"),
        (lambda m: m["normalizer"].update(clip=-1.0), "clip or epsilon is out of range"),
        (lambda m: m.update(normalizer={}), "bundle.json: normalizer.clip: Field required"),
        (lambda m: m["network"].update(aliases={"a": "b"}), "has no 'b'"),
        (lambda m: m["contract"].update(actions=[{"name": "x"}]), "1 names are given for the 2"),
    ],
)
def test_a_manifest_that_does_not_fit_the_weights_is_refused(bundle_path, change, message):
    edit(bundle_path, change)
    assert_refused(bundle_path, message)


def tensors(**arrays):
    return safetensors.numpy.save(arrays)


HUGE_HEADER = json.dumps(
    {"log_std": {"dtype": "F32", "shape": [2**40, 2**20], "data_offsets": [0, 8]}}
).encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "policy.safetensors"),
        (pickle.dumps(Bomb()), "policy.safetensors"),
        (len(HUGE_HEADER).to_bytes(8, "little") + HUGE_HEADER + bytes(8), "policy.safetensors"),
        (b"\xff" * 8 + b"{}", "policy.safetensors"),
        (tensors(log_std=np.zeros(2, np.float32)), "weights, but it holds only 2"),
        (tensors(x=np.zeros(5000, np.float32)), "do not fit each other"),
    ],
    ids=["empty", "pickle", "huge-shape", "huge-header", "few", "other"],
)
def test_weights_that_are_damaged_are_refused(bundle_path, content, message):
    edit(bundle_path, lambda manifest: None, policy_safetensors=content)
    assert_refused(bundle_path, message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no", "is damaged: normalizer.safetensors"),
        (tensors(**{"mean:": np.zeros(3)}), "not for the same keys"),
        (tensors(**{"mean:": np.zeros(2), "var:": np.ones(2)}), "do not fit the observation"),
        (tensors(**{"median:": np.zeros(3)}), "unknown entry 'median:'"),
        (tensors(**{"mean:": np.full(3, np.nan), "var:": np.ones(3)}), "not finite"),
    ],
)
def test_a_normaliser_that_is_damaged_is_refused(bundle_path, content, message):
    edit(bundle_path, lambda manifest: None, normalizer_safetensors=content)
    assert_refused(bundle_path, message)


def test_foreign_code_is_imported_only_on_the_callers_word(bundle_path, tmp_path, monkeypatch):
    module = tmp_path / "strange_layers.py"
    module.write_text("from torch.nn import ReLU\nclass Strange(ReLU): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    edit(bundle_path, lambda m: actor(m).update(activation="strange_layers:Strange"))
    assert_refused(bundle_path, "'strange_layers:Strange', which is not imported")
    policy = load_policy(bundle_path, trust_code=True)
    assert any(type(layer).__name__ == "Strange" for layer in policy.policy.modules())


def test_a_failed_write_leaves_the_old_bundle(write_bundle, monkeypatch):
    path = write_bundle()[1]
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("roboyard.storage.atomic.fsync_file", full)
    with pytest.raises(Exception, match="No space left on device"):
        write_bundle()
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_reading_never_unpacks_to_the_disk(bundle_path):
    before = sorted(bundle_path.parent.rglob("*"))
    load_policy(bundle_path)
    assert sorted(bundle_path.parent.rglob("*")) == before


def test_a_zip_that_is_empty_is_refused(tmp_path):
    buffer = io.BytesIO()
    zipfile.ZipFile(buffer, "w").close()
    path = tmp_path / "policy.zip"
    path.write_bytes(buffer.getvalue())
    assert_refused(path, "has no bundle.json")
