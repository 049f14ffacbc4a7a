"""Acting over HTTP, with a real server and real requests."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load
from server_process import ServerProcess

from roboyard.errors import PolicyError
from roboyard.policies.runtime.policy import ObservationError, RuntimePolicy
from roboyard.serving import Client
from roboyard.serving.http.tensors import save


def post(
    server: ServerProcess, path: str, body: object, kind: str = "application/json", **headers: str
) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(
        server.address + path, data, {"content-type": kind, **headers}, method="POST"
    )
    try:
        with urllib.request.urlopen(request) as answer:
            status, content = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, content = error.code, error.read()
    return status, content if kind != "application/json" and status == 200 else json.loads(content)


ACT = "/v1/policies/cartpole/act"


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


def test_one_observation_gives_one_action_and_a_batch_a_batch(server: ServerProcess) -> None:
    status, one = post(server, ACT, {"observation": [0.25, 0.5]})
    assert (status, one["actions"], one["policy"]) == (200, [0.75], "cartpole")
    _, batch = post(server, ACT, {"observation": [[0.25, 0.5], [0.0, -2.0 / 4]], "id": "a"})
    assert batch["actions"] == [[0.75], [-0.5]]
    assert batch["id"] == "a"


def test_an_observation_may_name_its_entries_in_any_order(server: ServerProcess) -> None:
    body = {"observation": {"pole angle": 0.5, "cart position": -0.25}}
    assert post(server, ACT, body)[1]["actions"] == [0.25]


def test_the_binary_form_answers_as_json_does(server: ServerProcess) -> None:
    observation = np.array([[0.25, 0.5], [1, 1]], np.float32)
    status, body = post(
        server, ACT, save({"observation": observation}), "application/x-safetensors"
    )
    assert status == 200
    assert load(body)["actions"].tolist() == [[0.75], [1.0]]


def test_actions_are_those_of_the_policy_itself(client: Client, policies: Path) -> None:
    observations = np.random.default_rng(0).uniform(-1, 1, (50, 2)).astype(np.float32)
    expected = RuntimePolicy.open(policies / "cartpole.onnx").act(observations).actions
    np.testing.assert_array_equal(client.act("cartpole", observations).actions, expected)


def test_dict_observations_with_images_are_served(client: Client) -> None:
    observation = {
        "camera": np.full((2, 3, 4, 4), 7, np.uint8),
        "speed": np.array([[1.0], [2.0]]),
    }
    assert client.act("looker", observation).actions.tolist() == [[8.0], [9.0]]


def test_a_recurrent_policy_is_driven_by_sending_its_state_back(client: Client) -> None:
    state, actions = None, []
    for value, start in ((1.0, True), (2.0, False), (3.0, False), (4.0, True)):
        answer = client.act("counter", np.array([value]), state=state, episode_start=start)
        state = answer.state
        actions.append(answer.actions.item())
    assert actions == [1.0, 3.0, 6.0, 4.0]


def test_the_state_travels_in_json_too(server: ServerProcess) -> None:
    _, first = post(server, "/v1/policies/counter/act", {"observation": [2]})
    body = {"observation": [3], "state": first["state"]}
    assert post(server, "/v1/policies/counter/act", body)[1]["actions"] == [5.0]


@pytest.mark.parametrize(
    ("observation", "entry", "words"),
    [
        ([0.0, 9.0], "pole angle", "entry 'pole angle' [rad] is 9.0, which is out of range"),
        ([float("nan"), 0], "cart position", "is nan, which is not a finite number"),
        ([1e400, 0], "cart position", "is not a finite number"),
        ([0.0], "observation", "has the shape (1,); allowed: (2,), or (n, 2) for a batch"),
        ([[0, 0], [1]], "observation", "must be numbers in lists of equal length"),
        (["0", "1"], "observation", "must be numbers"),
        ([0.0, True], "observation", "holds true or false"),
        ({"pole angel": 0, "cart position": 0}, "pole angel", "Did you mean 'pole angle'?"),
        ({"pole angle": 0}, "cart position", "lacks 'cart position'"),
        ({"pole angle": "a", "cart position": 0}, "pole angle", "must be a number"),
        ([], "observation", "shape (0,)"),
        (None, "observation", "must be numbers"),
    ],
)
def test_a_bad_observation_is_a_422_that_names_the_entry(
    server: ServerProcess, observation: object, entry: str, words: str
) -> None:
    status, content = post(server, ACT, {"observation": observation})
    assert status == 422
    assert content["error"]["entry"] == entry
    assert words in content["error"]["message"]


def test_numbers_that_an_image_cannot_hold_are_refused(server: ServerProcess) -> None:
    image = np.zeros((3, 4, 4)).tolist()
    image[0][0][0] = 256
    body = {"observation": {"camera": image, "speed": [0.0]}}
    status, content = post(server, "/v1/policies/looker/act", body)
    assert (status, content["error"]["entry"]) == (422, "camera")
    assert "256" in content["error"]["message"]


def test_keys_of_a_dict_must_hold_as_many_observations(server: ServerProcess) -> None:
    body = {"observation": {"camera": np.zeros((2, 3, 4, 4), int).tolist(), "speed": [[0.0]]}}
    status, content = post(server, "/v1/policies/looker/act", body)
    assert (status, content["error"]["entry"]) == (422, "speed")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1, 2]", "must be an object"),
        (b'{"observations": [0, 0]}', "must be an object"),
        (b'{"observation": [0, 0], "seeds": 1}', "Did you mean 'seed'?"),
        (b'{"observation": [0, 0], "seed": -1}', "'seed' must be a whole number"),
        (b'{"observation": [0, 0], "seed": true}', "'seed' must be a whole number"),
    ],
)
def test_a_malformed_body_is_a_422(server: ServerProcess, body: bytes, words: str) -> None:
    status, content = post(server, ACT, body)
    assert status == 422
    assert words in content["error"]["message"]


def test_an_unknown_policy_version_or_content_type_is_said_so(server: ServerProcess) -> None:
    body = {"observation": [0, 0]}
    status, content = post(server, "/v1/policies/cartpol/act", body)
    assert status == 404
    assert "Did you mean 'cartpole'?" in content["error"]["message"]
    assert post(server, f"{ACT}?version=0123456789ab", body)[0] == 404
    status, content = post(server, ACT, b"observation=1", "application/x-www-form-urlencoded")
    assert status == 415
    assert "application/json" in content["error"]["message"]


def test_a_wrong_state_is_refused(server: ServerProcess) -> None:
    for state in ([[1.0]], [[[["a"]]]], [[[[1, 2]]]], 7, []):
        body = {"observation": [1], "state": state}
        assert post(server, "/v1/policies/counter/act", body)[0] == 422, state


def test_invocations_need_a_name_only_among_several(
    server: ServerProcess, start: Any, policies: Path
) -> None:
    body = {"observation": [0.5, 0.0]}
    status, content = post(server, "/invocations", body)
    assert status == 404
    assert "cartpole, counter, looker" in content["error"]["message"]
    header = {"x-amzn-sagemaker-custom-attributes": "policy=cartpole"}
    assert post(server, "/invocations", body, **header)[1]["actions"] == [0.5]
    alone = start(policies / "cartpole.onnx")
    assert post(alone, "/invocations", body)[1]["actions"] == [0.5]
    with urllib.request.urlopen(alone.address + "/ping") as answer:
        assert answer.status == 200


def test_the_client_raises_errors_of_the_tree(client: Client) -> None:
    with pytest.raises(ObservationError, match="pole angle"):
        client.act("cartpole", np.array([0.0, 9.0]))
    with pytest.raises(PolicyError, match="not loaded"):
        client.act("nothing", np.array([0.0, 9.0]))
    listed = {policy["name"]: policy for policy in client.policies()}
    assert sorted(listed) == ["cartpole", "counter", "looker"]
    assert client.is_ready()
