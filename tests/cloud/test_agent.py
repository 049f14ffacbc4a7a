"""What an agent says of wrong places, before it starts anything."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from roboyard.cloud.agent.metadata import instance_id
from roboyard.cloud.rehearsal.metadata_service import MetadataService
from roboyard.errors import CloudError
from roboyard.runs.preemption import ENDPOINT_VARIABLE, MetadataSource


def test_an_instance_reads_its_id_with_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with MetadataService("i-1") as service:
        monkeypatch.setenv(ENDPOINT_VARIABLE, service.url)
        assert instance_id() == "i-1"


def test_a_notice_that_is_announced_is_what_a_trainer_sees() -> None:
    with MetadataService("i-1") as service:
        source = MetadataSource(service.url)
        assert source.look() is None
        service.interrupt(90.0)
        notice = source.look()
        assert notice is not None
        assert 80.0 < notice.seconds_left <= 91.0


def test_elsewhere_than_on_an_instance_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        monkeypatch.setenv(ENDPOINT_VARIABLE, f"http://127.0.0.1:{server.server_address[1]}")
        with pytest.raises(CloudError, match=r"metadata service does not answer.*on EC2"):
            instance_id()
    finally:
        server.shutdown()
        server.server_close()
