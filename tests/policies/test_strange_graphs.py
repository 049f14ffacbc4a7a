"""Graphs of strangers: nothing outside of the file is read, run or written; one PolicyError."""

import hashlib
import json
import pickle
import resource
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roboyard.errors import PolicyError
from roboyard.policies.bundle.layout import ONNX_PART
from roboyard.policies.export.finalize import export
from roboyard.policies.runtime.policy import RuntimePolicy
from roboyard.testing.fake_envs import FakeEnv

EXECUTED = []
OBSERVATION = np.zeros((1, 3), np.float32)


class Bomb:
    def __reduce__(self):
        return (EXECUTED.append, ("boom",))


@pytest.fixture
def complete(bundle_path):
    """A bundle with a graph."""
    export(bundle_path, make_env=FakeEnv, observations=10)
    return bundle_path


def replace_graph(path, content):
    """Put another graph into a bundle, with the right digest."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(parts.pop("bundle.json"))
    parts[ONNX_PART] = content
    manifest["parts"][ONNX_PART] = {"sha256": hashlib.sha256(content).hexdigest()}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bundle.json", json.dumps(manifest))
        for name, part in parts.items():
            archive.writestr(name, part)


def model_of(path):
    with zipfile.ZipFile(path) as archive:
        return onnx.load_from_string(archive.read(ONNX_PART))


def assert_refused(path, message):
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(PolicyError, match=message) as caught:
        RuntimePolicy.open(path).act(OBSERVATION)
    assert "\n" not in str(caught.value)
    assert not EXECUTED
    assert sorted(path.parent.rglob("*")) == before


def test_every_flipped_byte_is_refused_or_harmless(complete, tmp_path):
    good = complete.read_bytes()
    expected = RuntimePolicy.open(complete).act(OBSERVATION).actions
    rng = np.random.default_rng(0)
    headers = [*range(60), *range(len(good) - 300, len(good))]
    places = [*headers, *rng.integers(0, len(good), 300)]
    copy, refused = tmp_path / "copy.zip", 0
    for place in places:
        data = bytearray(good)
        data[place] ^= 1 << int(rng.integers(8))
        copy.write_bytes(data)
        try:
            actions = RuntimePolicy.open(copy).act(OBSERVATION).actions
        except PolicyError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            assert np.array_equal(actions, expected)
    assert refused > 0.7 * len(places)


def test_every_flipped_byte_of_a_graph_without_digests_is_an_error_or_acts(complete, tmp_path):
    content = model_of(complete).SerializeToString()
    path, rng = tmp_path / "policy.onnx", np.random.default_rng(1)
    refused = 0
    for place in rng.integers(0, len(content), 400):
        data = bytearray(content)
        data[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        try:
            RuntimePolicy.open(path).act(OBSERVATION)
        except PolicyError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 50
    assert sorted(p.name for p in tmp_path.iterdir()) == [complete.name, "policy.onnx"]


@pytest.mark.parametrize("size", [0, 1, 7, 100, 3000])
def test_random_and_cut_off_graphs_are_refused(complete, size):
    content = model_of(complete).SerializeToString()
    for data in (np.random.default_rng(size).bytes(size), content[:size]):
        replace_graph(complete, data)
        assert_refused(complete, "ONNX")


def test_a_pickle_in_place_of_a_graph_is_refused(complete):
    replace_graph(complete, pickle.dumps(Bomb()))
    assert_refused(complete, "ONNX graph")


def test_a_graph_may_not_read_files(complete, tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(1000))
    model = model_of(complete)
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, location=str(secret), offset=0, length=96)
    tensor.ClearField("raw_data")
    replace_graph(complete, model.SerializeToString())
    assert_refused(complete, "has weights in another file")
    tensor.ClearField("external_data")
    replace_graph(complete, model.SerializeToString())
    assert_refused(complete, "has weights in another file")


def node(operator, domain="", **attributes):
    return helper.make_node(operator, ["action"], ["y"], domain=domain, **attributes)


LOOP = helper.make_graph([helper.make_node("Identity", ["a"], ["b"])], "body", [], [])


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (node("Call", "com.stranger"), "the operator b'Call' of the domain b'com.stranger'"),
        (node("FusedMatMul", "com.microsoft"), "of the domain b'com.microsoft'"),
        (node("PyOp"), "the operator b'PyOp'"),
        (node("Loop", body=LOOP), "the operator b'Loop'"),
        (node("Identity", then_branch=LOOP), "graphs or sparse weights inside of an operator"),
        (node("RandomNormalLike"), "the operator b'RandomNormalLike'"),
        (node("ConstantOfShape"), "the operator b'ConstantOfShape'"),
    ],
    ids=lambda value: getattr(value, "op_type", ""),
)
def test_operators_that_no_policy_needs_are_refused(complete, extra, message):
    model = model_of(complete)
    model.graph.node.append(extra)
    replace_graph(complete, model.SerializeToString())
    assert_refused(complete, message)


def test_functions_and_other_operator_sets_are_refused(complete):
    model = model_of(complete)
    model.opset_import.append(helper.make_opsetid("com.stranger", 1))
    replace_graph(complete, model.SerializeToString())
    assert_refused(complete, "operators of the domain b'com.stranger'")
    del model.opset_import[-1]
    model.functions.add().name = "Gemm"
    replace_graph(complete, model.SerializeToString())
    assert_refused(complete, "functions of its own")


def test_a_shape_larger_than_its_content_is_refused(complete):
    model = model_of(complete)
    model.graph.initializer[0].dims[:] = [2**40, 2**20]
    replace_graph(complete, model.SerializeToString())
    assert_refused(complete, "an array of 1152921504606846976 entries in")


def test_a_small_file_cannot_fill_the_memory(complete):
    model = model_of(complete)
    side = np.ones(100_000, np.float32)
    for name, shape in (("column", (-1, 1)), ("row", (1, -1))):
        model.graph.initializer.append(numpy_helper.from_array(side.reshape(shape), name))
    model.graph.node.insert(0, helper.make_node("Add", ["column", "row"], ["large"]))
    model.graph.node.insert(1, helper.make_node("ReduceSum", ["large"], ["one"], keepdims=0))
    last = model.graph.node[-1]
    last.output[0] = "before"
    model.graph.node.append(helper.make_node("Add", ["before", "one"], ["action"]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    replace_graph(complete, model.SerializeToString())
    assert_refused(complete, "cannot act|onnxruntime refuses")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 500_000


def change_contract(model, change):
    (entry,) = model.metadata_props
    value = json.loads(entry.value)
    change(value)
    entry.value = json.dumps(value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("action"), "contract in the ONNX graph is wrong: 'action'"),
        (lambda c: c.update(format_version=2), "not version 1 of 'roboyard-onnx'"),
        (lambda c: c.update(observations=[]), "keys of its observations are missing"),
        (lambda c: c["observations"].append(c["observations"][0]), "missing, doubled"),
        (lambda c: c["observations"][0].update(shape=[10**9]), "is not a number from 1 to"),
        (lambda c: c["observations"][0].update(shape=[10**6, 10**6]), "is too large"),
        (lambda c: c["observations"][0].update(dtype="object"), "unknown kind 'box' or dtype"),
        (lambda c: c["observations"][0].update(dtype="float64"), "but its contract says"),
        (lambda c: c["observations"][0].update(shape=[3, 1]), "but its contract says"),
        (lambda c: c["observations"][0].update(low=["os"]), "a bound is not a number"),
        (lambda c: c["observations"][0].update(names=["x"]), "do not count the entries"),
        (lambda c: c["noise"].update(distribution="integers"), "unknown distribution"),
        (lambda c: c["noise"].update(size=10**9), "is not a number from 1"),
        (lambda c: c.update(noise=None), "but its contract says"),
        (lambda c: c.update(state_shapes=[[1, 2, 3]]), r"is not \(layers, 1, width\)"),
        (lambda c: c.update(state_shapes=[[1, 1, 8]]), "but its contract says"),
        (lambda c: c.update(control_period_s=-1), "period is not a positive number"),
        (lambda c: c.update(name=["x"]), "is not a short text"),
    ],
)
def test_a_wrong_contract_is_refused(complete, change, message):
    model = model_of(complete)
    change_contract(model, change)
    replace_graph(complete, model.SerializeToString())
    assert_refused(complete, message)


@pytest.mark.parametrize("text", ["", "[]", "null", "3", "[" * 50_000, '{"format": 1}'])
def test_a_contract_that_is_none_is_refused(complete, text):
    model = model_of(complete)
    model.metadata_props[0].value = text
    replace_graph(complete, model.SerializeToString())
    assert_refused(complete, "contract in the ONNX graph is")


def test_a_graph_without_a_contract_is_refused(complete):
    model = model_of(complete)
    del model.metadata_props[:]
    replace_graph(complete, model.SerializeToString())
    assert_refused(complete, "has no contract; roboyard export writes one")


def test_outputs_that_are_not_the_contracts_are_refused(complete):
    model = model_of(complete)
    info = helper.make_tensor_value_info("noise", TensorProto.FLOAT, None)
    model.graph.output.append(info)
    replace_graph(complete, model.SerializeToString())
    assert_refused(complete, "ONNX graph")


def test_a_network_of_nan_is_an_error_at_the_first_action(complete):
    model = model_of(complete)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            array = np.full_like(numpy_helper.to_array(tensor), np.nan)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    replace_graph(complete, model.SerializeToString())
    assert_refused(complete, "gave an action that is not finite|not finite")


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/b", ".."])
def test_part_names_that_could_leave_a_folder_are_refused(complete, name):
    with zipfile.ZipFile(complete, "a") as archive:
        archive.writestr(name, b"x")
    assert_refused(complete, "not a plain file name")


def test_a_zip_bomb_is_refused(complete):
    with zipfile.ZipFile(complete, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(10**7))
    assert_refused(complete, "is compressed")


def test_a_bundle_without_a_graph_says_how_to_add_one(bundle_path):
    assert_refused(bundle_path, r"holds no ONNX graph. Add one with: roboyard export")


def test_a_missing_file_is_named(tmp_path):
    for name in ("no.zip", "no.onnx"):
        with pytest.raises(PolicyError, match=r"cannot read '.*no\.\w+': No such file"):
            RuntimePolicy.open(tmp_path / name)


def test_a_manifest_of_another_form_is_refused(complete):
    for parts in ([], {"a": 1}, None):
        with zipfile.ZipFile(complete, "w") as archive:
            text = {"format": "roboyard-policy", "format_version": 1, "parts": parts}
            archive.writestr("bundle.json", json.dumps(text))
        assert_refused(complete, "parts is not a mapping")
