"""The page for people, in a headless Chromium where one is installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from server_process import ServerProcess
from websockets.sync.client import ClientConnection, connect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


def page(server: ServerProcess) -> tuple[str, Any]:
    with urllib.request.urlopen(server.address + "/") as answer:
        return answer.read().decode(), answer.headers


def test_the_page_loads_nothing_from_elsewhere(server: ServerProcess) -> None:
    text, headers = page(server)
    assert "default-src 'none'" in headers["content-security-policy"]
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?!data:)", text)
    assert not re.search(r"https?://", text)
    assert "innerHTML" not in text, "names come from bundles, which strangers may write"


class Browser:
    """A tab of Chromium, driven over its debugging protocol."""

    def __init__(self, folder: Path) -> None:
        assert CHROMIUM is not None
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
        flags += ["--disable-dev-shm-usage", "--remote-allow-origins=*", "--no-first-run"]
        # It contacts nobody but the server.
        flags += ["--disable-background-networking", "--disable-component-update"]
        flags += ["--disable-sync", "--disable-quic"]
        self._process = subprocess.Popen(
            [CHROMIUM, *flags, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # What is called chromium may be a script that starts it.
        )
        assert self._process.stderr is not None
        self._stack = ExitStack()
        self._stack.callback(self._end)
        self._count = 0
        self.errors: list[str] = []
        try:
            self._line = self._attach()
            self.call("Runtime.enable")
            self.call("Page.enable")
        except BaseException:
            self.close()
            raise

    def _attach(self) -> ClientConnection:
        assert self._process.stderr is not None
        match = None
        while match is None:
            line = self._process.stderr.readline()
            assert line, "Chromium did not start"
            match = re.search(r"ws://([^/]+)/", line)
        with urllib.request.urlopen(f"http://{match[1]}/json") as answer:
            tabs = [tab for tab in json.load(answer) if tab["type"] == "page"]
        return self._stack.enter_context(connect(tabs[0]["webSocketDebuggerUrl"], max_size=None))

    def call(self, method: str, **parameters: object) -> Any:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        self._line.send(json.dumps(message))
        while True:
            answer = json.loads(self._line.recv(30))
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(str(answer["params"]))
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]

    def run(self, script: str) -> Any:
        """Return the value of a script, which may wait."""
        result = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, condition: str) -> None:
        script = f"""(async () => {{
            for (let tries = 0; tries < 300 && !({condition}); tries++)
                await new Promise(done => setTimeout(done, 50));
            return Boolean({condition});
        }})()"""
        assert self.run(script), f"never: {condition}"

    def close(self) -> None:
        self._stack.close()

    def _end(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed; get it with: make browser (Debian, as root)")
    browser = Browser(tmp_path / "profile")
    yield browser
    browser.close()


def shown(element: str) -> str:
    return f"Boolean(document.getElementById('{element}')?.checkVisibility())"


def fill(name: str, value: str) -> str:
    return (
        f"[...document.querySelectorAll('#fields input')].find(n => n.dataset.name === '{name}')"
        f".value = '{value}'"
    )


def test_an_observation_can_be_tried_by_hand(server: ServerProcess, browser: Browser) -> None:
    answer = "document.getElementById('answer').textContent"
    press = "document.querySelector('#form button').click()"
    browser.call("Page.navigate", url=server.address)
    browser.until("document.querySelectorAll('#policies tr').length === 3")
    assert browser.run(f"{shown('token')} === false"), "no token is asked for where none is needed"
    browser.until(
        "document.getElementById('facts').textContent === 'ppo, 2 inputs, 1 outputs, 50 Hz.'"
    )
    browser.run(fill("pole angle", "0.25"))
    browser.run(press)
    browser.until(f"{answer}.includes('force: 0.25 N')")
    browser.until("Number(document.querySelector('#policies td:nth-child(4)').textContent) > 0")

    browser.run(fill("pole angle", "9"))
    browser.run(press)
    browser.until(f"{answer}.includes('out of range')")
    marked = "document.querySelector('#fields [aria-invalid=true]').dataset.name"
    assert browser.run(marked) == "pole angle"
    browser.run(fill("pole angle", "many"))
    browser.run(press)
    browser.until(f"{answer}.includes('is not a number')")
    assert browser.errors == []


def test_dict_observations_have_a_form_too(server: ServerProcess, browser: Browser) -> None:
    browser.call("Page.navigate", url=server.address)
    browser.until("document.querySelectorAll('#policy option').length === 3")
    browser.run(
        "document.getElementById('policy').value = 'looker';"
        "document.getElementById('policy').dispatchEvent(new Event('change'))"
    )
    browser.run(fill("speed", "2"))
    browser.run("document.querySelector('#form button').click()")
    browser.until("document.getElementById('answer').textContent.startsWith('[0]: 2')")
    assert browser.errors == []


def test_the_page_asks_for_the_token(start: Any, policies: Path, browser: Browser) -> None:
    server = start(policies / "cartpole.onnx", ROBOYARD_SERVE_TOKEN="a-token-of-some-length")
    browser.call("Page.navigate", url=server.address)
    browser.until(shown("token"))
    browser.run("document.getElementById('token').value = 'a-token-of-some-length'")
    browser.until("document.querySelectorAll('#policies tr').length === 1")
