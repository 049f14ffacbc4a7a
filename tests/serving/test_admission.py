"""Tokens, limits and what the server says about itself."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from server_process import ServerProcess

from roboyard.errors import BridgeError, ConfigError
from roboyard.serving import Client
from roboyard.serving.http.auth import Authenticator, RateLimit, read_tokens
from roboyard.serving.http.errors import HTTPError

Start = Callable[..., ServerProcess]
TOKEN = "correct-horse-battery-staple"
ZERO = np.zeros(2)


def get(server: ServerProcess, path: str, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(server.address + path, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_only_a_right_token_is_let_in_and_none_is_ever_logged(start: Start, policies: Path) -> None:
    server = start(policies / "cartpole.onnx", "--access-log", ROBOYARD_SERVE_TOKEN=TOKEN)
    with Client(server.address, token=TOKEN) as client:
        client.act("cartpole", ZERO)
        with client.open_session("cartpole") as session:
            session.act(ZERO)
    for wrong in (None, "wrong-horse-battery-staple", TOKEN + "x", TOKEN[:-1]):
        with Client(server.address, token=wrong) as client:
            with pytest.raises(ConfigError, match="Bearer"):
                client.act("cartpole", ZERO)
            with pytest.raises(ConfigError, match="Bearer"):
                client.open_session("cartpole")
    for path in ("/v1/policies", "/metrics", "/v1/live", "/openapi.json", "/nothing"):
        assert get(server, path)[0] == 401, path
    for path in ("/", "/healthz", "/readyz", "/ping"):
        assert get(server, path)[0] == 200, path
    assert get(server, "/metrics", authorization=f"bearer {TOKEN}")[0] == 200
    assert TOKEN not in server.text
    assert "wrong-horse" not in server.text
    assert {line["status"] for line in server.log("request")} == {200, 401}


def test_every_token_of_a_file_counts(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{TOKEN}\n\nanother-token-of-ours\n")
    keeper = Authenticator(read_tokens(file))
    assert keeper.check(f"Bearer {TOKEN}".encode()) == 0
    assert keeper.check(b"Bearer another-token-of-ours") == 1
    for shown in (None, b"", b"Bearer", b"Basic " + TOKEN.encode(), TOKEN.encode(), b"Bearer \xff"):
        with pytest.raises(HTTPError):
            keeper.check(shown)


@pytest.mark.parametrize("text", ["", "short", "a" * 15, "ä" * 20])
def test_unfit_tokens_are_refused_without_showing_them(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(text)
    with pytest.raises(ConfigError, match="openssl rand") as caught:
        read_tokens(file)
    assert not text or text not in str(caught.value)


def test_a_client_that_asks_too_often_is_told_when_to_come_back(
    start: Start, policies: Path
) -> None:
    server = start(policies / "cartpole.onnx", "--rate-limit", 5)
    with (
        Client(server.address, retries=0) as client,
        pytest.raises(BridgeError, match="requests per second"),
    ):
        for _ in range(20):
            client.act("cartpole", ZERO)
    with Client(server.address, retries=5) as client:
        client.act("cartpole", ZERO)  # It waits and tries again.
    assert get(server, "/healthz")[0] == 200


def test_a_rate_limit_fills_up_steadily_and_forgets_old_clients() -> None:
    limit = RateLimit(2.0)
    for client in ("a", "a", "b"):
        limit.take(client)
    with pytest.raises(HTTPError) as caught:
        limit.take("a")
    assert caught.value.retry_after_s is not None
    assert 0 < caught.value.retry_after_s <= 0.5


def test_long_requests_are_refused_with_and_without_a_length(start: Start, policies: Path) -> None:
    server = start(policies / "cartpole.onnx", "--max-request-bytes", 10_000)
    host = urlsplit(server.address).netloc
    for body in (b"x" * 10_001, (b"x" * 1000 for _ in range(11))):
        connection = http.client.HTTPConnection(host)
        connection.request(
            "POST", "/v1/policies/cartpole/act", body, {"content-type": "application/json"}
        )
        answer = connection.getresponse()
        assert answer.status == 413
        assert "10000 bytes" in json.loads(answer.read())["error"]["message"]
        connection.close()
    with Client(server.address) as client, client.open_session("cartpole") as session:
        with pytest.raises(BridgeError):
            session.act(np.zeros((2000, 2)))
        session.act(ZERO)  # It connects anew.


def test_the_metrics_and_the_live_view_count_what_happened(start: Start, policies: Path) -> None:
    server = start(policies / "cartpole.onnx")
    with Client(server.address) as client:
        for _ in range(3):
            client.act("cartpole", ZERO)
        for bad in (np.zeros(3), np.array([9.0, 0.0])):
            with pytest.raises(Exception, match="observation"):
                client.act("cartpole", bad)
        version = client.act("cartpole", ZERO).version
    text = get(server, "/metrics")[1]
    labels = 'policy="cartpole",route="act"'
    assert f'roboyard_requests_total{{{labels},status="200",version="{version}"}} 4.0' in text
    assert f'roboyard_requests_total{{{labels},status="422",version="{version}"}} 2.0' in text
    assert 'roboyard_request_seconds_count{route="act"} 6' in text
    assert "roboyard_batch_rows_sum 4" in text
    live = json.loads(get(server, "/v1/live")[1])["policies"]["cartpole"]
    assert live["requests_per_s"] == pytest.approx(0.6)
    assert live["errors_per_s"] == pytest.approx(0.2)
    assert 0 < live["p50_ms"] <= live["p99_ms"]


def test_answers_carry_the_request_id_that_was_given(server: ServerProcess) -> None:
    for given, expected in (("abc-1", "abc-1"), ("a b", None), ("x" * 65, None)):
        request = urllib.request.Request(
            server.address + "/healthz", headers={"x-request-id": given}
        )
        with urllib.request.urlopen(request) as answer:
            found = answer.headers["x-request-id"]
        assert found == expected if expected else found != given


def test_errors_of_unknown_addresses_have_the_same_form(server: ServerProcess) -> None:
    for path, status in (("/nothing", 404), ("/invocations", 405), ("/v1/policies/x/act", 405)):
        found, text = get(server, path)
        assert found == status
        assert json.loads(text)["error"]["code"] == "http"
