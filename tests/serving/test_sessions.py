"""Control loops over a WebSocket."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
from server_process import ServerProcess
from websockets.sync.client import connect

from roboyard.errors import PolicyError
from roboyard.policies.runtime.policy import ObservationError
from roboyard.serving import Client, Session


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with Client(server.address) as client:
        yield client


def value(session: Session, number: float, **options: bool) -> float:
    return float(session.act(np.array([number]), **options).actions.item())


def test_the_server_remembers_an_episode_until_the_next(client: Client) -> None:
    with client.open_session("counter") as session:
        assert [value(session, number) for number in (1, 2, 3)] == [1, 3, 6]
        assert value(session, 5, episode_start=True) == 5
        assert value(session, 5) == 10


def test_sessions_do_not_share_their_memory(client: Client) -> None:
    with client.open_session("counter") as one, client.open_session("counter") as other:
        for _ in range(3):
            one_value, other_value = value(one, 1), value(other, 10)
    assert (one_value, other_value) == (3, 30)


def test_robots_of_a_batch_begin_episodes_on_their_own(client: Client) -> None:
    with client.open_session("counter") as session:
        session.act(np.array([[1.0], [1.0]]))
        second = session.act(np.array([[1.0], [1.0]]), episode_start=np.array([False, True]))
        assert second.actions.tolist() == [[2.0], [1.0]]


def test_a_bad_message_is_answered_and_changes_nothing(client: Client) -> None:
    with client.open_session("counter") as session:
        value(session, 1)
        for bad in (np.array([np.nan]), np.zeros(3), np.zeros((2, 1))):
            with pytest.raises(ObservationError):
                session.act(bad)
        assert value(session, 1) == 2


def test_text_messages_work_as_well(server: ServerProcess) -> None:
    address = server.address.replace("http", "ws")
    with connect(f"{address}/v1/policies/counter/session") as line:
        greeting = json.loads(line.recv())
        assert greeting["policy"] == "counter"
        assert greeting["is_recurrent"]
        line.send('{"observation": [2], "id": 1}')
        answer = json.loads(line.recv())
        assert (answer["actions"], answer["id"]) == ([2.0], 1)
        for bad in ("{", '{"observation": ["a"]}', '{"observation": [1], "state": []}', "[]"):
            line.send(bad)
            assert "error" in json.loads(line.recv()), bad
        line.send('{"observation": [1], "episode_start": [[1], [1, 2]]}')
        assert json.loads(line.recv())["error"]["entry"] == "episode_start"
        line.send('{"observation": [2]}')
        assert json.loads(line.recv())["actions"] == [4.0]


def test_the_control_period_is_told(client: Client) -> None:
    with client.open_session("cartpole") as session:
        assert session.control_period_s == 0.02


def test_a_session_with_an_unknown_policy_is_refused(client: Client) -> None:
    with pytest.raises(PolicyError, match="not loaded"):
        client.open_session("nothing")


def test_pages_of_other_sites_cannot_open_a_session(server: ServerProcess) -> None:
    address = server.address.replace("http", "ws")
    with pytest.raises(Exception, match="403"):
        connect(f"{address}/v1/policies/counter/session", origin="http://example.org")
    with connect(f"{address}/v1/policies/counter/session", origin=server.address) as line:
        line.recv()
