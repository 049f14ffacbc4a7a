"""Eight robots at 100 Hz beside clients that mean harm, and what it costs them.

One server serves a 12-joint policy (48 observations, 12 actions). Eight honest clients ask it at
100 Hz each, over WebSocket, and a health check comes every 0.2 s on a new connection. First they
are alone; then the hostile clients run beside them: unfinished and dripping headers, headers
without end, deep and doubled JSON, large bodies, floods of requests and of connections, 1,000
silent connections, foreign Host and Origin, messages in fragments. Hostile clients come from other
loopback addresses than honest ones. Everything runs on this machine, so the script also says how
much of a core its own clients took. At the end each target is said to be met or not.

Run: OMP_NUM_THREADS=1 python benchmarks/hostile_clients.py [--seconds 120]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from roboyard.serving.http.tensors import save
from serving import PERIOD_S, ROBOTS, ROBOYARD, make_bundle, observation, shake_hands

MAX_P99_MS, MAX_GROWTH = 20.0, 1.2
HEALTH_PERIOD_S, HEALTH_TIMEOUT_S = 0.2, 2.0
PING, BINARY = 0x89, 0x82
ACT = b"POST /v1/policies/walker/act HTTP/1.1\r\nhost: 127.0.0.1\r\n"
STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")


class Honest(NamedTuple):
    """What the honest clients saw."""

    p50_ms: float
    p99_ms: float
    longest_ms: float
    answers: int
    failures: int
    missed_health: int
    health_checks: int
    slowest_health_ms: float


async def be_honest(port: int, seconds: float) -> Honest:
    """Drive robots at a fixed rate and check the server's health."""
    times: list[float] = []
    health: list[float] = []
    counts: Counter[str] = Counter()

    async def robot(index: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await shake_hands(reader, writer, port)
        due = time.perf_counter() + index * PERIOD_S / ROBOTS
        end = due + seconds
        while due < end:
            await asyncio.sleep(due - time.perf_counter())
            start = time.perf_counter()
            try:
                await ask(reader, writer)
            except (OSError, AssertionError, asyncio.IncompleteReadError):
                counts["failures"] += 1
                return
            times.append(time.perf_counter() - start)
            due = max(due + PERIOD_S, time.perf_counter() - PERIOD_S)
        writer.close()

    async def check_health() -> None:
        end = time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            try:
                async with asyncio.timeout(HEALTH_TIMEOUT_S):
                    answer = await ask_once(port, b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
                if b" 200 " not in answer[:20]:
                    counts["missed"] += 1
            except (OSError, TimeoutError):
                counts["missed"] += 1
            health.append(time.perf_counter() - start)
            await asyncio.sleep(HEALTH_PERIOD_S)

    await asyncio.gather(check_health(), *(robot(index) for index in range(ROBOTS)))
    p50, p99 = np.percentile(times, [50, 99]) * 1e3
    return Honest(
        p50, p99, max(times) * 1e3, len(times), counts["failures"], counts["missed"],
        len(health), max(health) * 1e3,
    )  # fmt: skip


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ask for an action over a WebSocket, and answer the server's pings meanwhile."""
    body = save({"observation": observation()})
    # A mask of zeros is valid and leaves the payload as it is.
    writer.write(b"\x82\xfe" + struct.pack(">H", len(body)) + bytes(4) + body)
    opcode = PING
    while opcode == PING:
        opcode, size = await reader.readexactly(2)
        if size == 126:
            size = struct.unpack(">H", await reader.readexactly(2))[0]
        content = await reader.readexactly(size)
        if opcode == PING:
            writer.write(bytes([0x8A, 0x80 | size]) + bytes(4) + content)
    assert opcode == BINARY, "an error came back"


async def ask_once(port: int, request: bytes, source: str = "127.0.0.1") -> bytes:
    """Send one request on a connection of its own; return the beginning of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        writer.write(request)
        return await reader.read(4096)
    finally:
        writer.close()


class Hostility:
    """Clients that mean harm; counts the statuses that they get."""

    def __init__(self, port: int, seconds: float) -> None:
        self._port = port
        self._end = time.monotonic() + seconds
        self.statuses: Counter[str] = Counter()

    async def run(self, silent: int) -> None:
        """Do everything at once until the time is over."""
        await asyncio.gather(
            *(self._again(self.hold_open, 1.0, f"127.0.1.{i % 4}") for i in range(silent)),
            *(self._again(act, pause, f"127.0.2.{i}") for i, (act, pause) in enumerate([
                (self.drip_headers, 0.1), (self.send_long_header, 0.5),
                (self.send_many_headers, 0.5), (self.send_deep_json, 0.1),
                (self.send_doubled_names, 0.1), (self.send_large_json, 1.0),
                (self.send_large_binary, 1.0), (self.send_slow_body, 1.0),
                (self.send_strange_names, 0.05), (self.send_fragments, 0.5),
                (self.send_broken_numbers, 0.05), (self.pipeline, 0.2), (self.flood, 0.1),
                (self.connect_and_leave, 0.1),
            ])),
        )  # fmt: skip

    async def _again(
        self, act: Callable[[str], Awaitable[None]], pause_s: float, source: str
    ) -> None:
        while time.monotonic() < self._end:
            try:
                async with asyncio.timeout(self._end - time.monotonic()):
                    await act(source)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                self.statuses["hung up"] += 1
            await asyncio.sleep(pause_s)

    @contextlib.asynccontextmanager
    async def _line(self, source: str):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._port, local_addr=(source, 0)
        )
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def _ask(self, source: str, request: bytes) -> None:
        async with self._line(source) as (reader, writer):
            writer.write(request)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5.0):
                    self._count(await reader.read(4096))

    def _count(self, answer: bytes) -> None:
        for status in STATUS.findall(answer) or [b"nothing"]:
            self.statuses[status.decode()] += 1

    async def hold_open(self, source: str) -> None:
        """Connect and say nothing."""
        async with self._line(source) as (reader, _):
            self._count(await reader.read(4096))

    async def drip_headers(self, source: str) -> None:
        """Send headers a byte at a time."""
        async with self._line(source) as (_, writer):
            for byte in ACT * 100:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.1)

    async def send_long_header(self, source: str) -> None:
        """Send one header of 64 MB."""
        async with self._line(source) as (reader, writer):
            writer.write(ACT + b"x-long: ")
            for _ in range(1000):
                writer.write(b"x" * 65536)
                await writer.drain()
            self._count(await reader.read(4096))

    async def send_many_headers(self, source: str) -> None:
        """Send 64 MB of small headers."""
        async with self._line(source) as (reader, writer):
            writer.write(ACT)
            for _ in range(1000):
                writer.write(b"x-a: b\r\n" * 8192)
                await writer.drain()
            self._count(await reader.read(4096))

    async def send_deep_json(self, source: str) -> None:
        """Nest observation and id deeply."""
        for body in (
            b'{"observation": ' + b"[" * 900 + b"]" * 900 + b"}",
            b'{"observation": [0], "id": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        ):
            await self._ask(source, post(body))

    async def send_doubled_names(self, source: str) -> None:
        """Name things twice, and numbers that are none."""
        await self._ask(source, post(b'{"observation": [0], "observation": [1]}'))
        await self._ask(source, post(b'{"observation": [0], "id": NaN}'))
        await self._ask(source, post('{"observation": [true]}'.encode("utf-16")))

    async def send_large_json(self, source: str) -> None:
        """Send 15 MB of numbers."""
        await self._ask(source, post(b'{"observation": [' + b"0.5," * 3_900_000 + b"0]}"))

    async def send_large_binary(self, source: str) -> None:
        """Send 15 MB of bytes that are no arrays."""
        await self._ask(source, post(b"\xff" * 15_000_000, "application/x-safetensors"))

    async def send_slow_body(self, source: str) -> None:
        """Announce a large body and send a little of it now and then."""
        async with self._line(source) as (reader, writer):
            writer.write(ACT + b"content-length: 10000000\r\n\r\n")
            for _ in range(600):
                writer.write(b"x" * 1000)
                await writer.drain()
                await asyncio.sleep(0.1)
            self._count(await reader.read(4096))

    async def send_strange_names(self, source: str) -> None:
        """Come from pages of others."""
        for head in (
            b"GET / HTTP/1.1\r\nhost: rebound.example\r\n\r\n",
            b"POST /v1/policies/walker/act HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            b"origin: http://other.example\r\ncontent-length: 0\r\n\r\n",
            b"GET /v1/policies/walker/session HTTP/1.1\r\nhost: 127.0.0.1\r\norigin: http://[\r\n"
            b"upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n"
            b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        ):
            await self._ask(source, head)

    async def send_fragments(self, source: str) -> None:
        """Begin a message that never ends."""
        async with self._line(source) as (reader, writer):
            await shake_hands(reader, writer, self._port)
            writer.write(b"\x02\x80\0\0\0\0" + b"\x00\x80\0\0\0\0" * 20_000)
            await writer.drain()
            await reader.read(4096)

    async def send_broken_numbers(self, source: str) -> None:
        """Send what float32 cannot hold."""
        await self._ask(source, post(b'{"observation": [1e39, -1e308, 1e400]}'))
        await self._ask(source, post(b'{"observation": [' + b"3.4e38," * 47 + b"3.4e38]}"))

    async def pipeline(self, source: str) -> None:
        """Ask 5,000 times without reading an answer."""
        await self._ask(source, b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" * 5000)

    async def flood(self, source: str) -> None:
        """Ask as fast as one connection can, for a while."""
        async with self._line(source) as (reader, writer):
            for _ in range(20):
                writer.write(post(b'{"observation": "x"}'))
                self._count(await reader.read(4096))

    async def connect_and_leave(self, source: str) -> None:
        """Connect again and again."""
        for _ in range(20):
            async with self._line(source):
                pass


def post(body: bytes, kind: str = "application/json") -> bytes:
    """Return a request to act."""
    return ACT + f"content-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def attack(port: int, seconds: float, silent: int, results: object) -> None:
    """Run the hostile clients; a process of its own."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192) if hard > 0 else 8192, hard))
    hostility = Hostility(port, seconds)
    asyncio.run(hostility.run(silent))
    results.send((dict(hostility.statuses), time.process_time()))  # type: ignore[attr-defined]


class Watched:
    """Memory of the server and of its helper process while something runs."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.server_mb = self.helper_mb = 0.0

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            self.server_mb = max(self.server_mb, self._process.memory_info().rss / 1e6)
            with contextlib.suppress(psutil.Error):
                helpers = [child.memory_info().rss for child in self._process.children()]
                self.helper_mb = max(self.helper_mb, sum(helpers) / 1e6)
            await asyncio.sleep(0.2)


async def honest_watched(port: int, pid: int, seconds: float) -> tuple[Honest, Watched]:
    watched = Watched(pid)
    watching = asyncio.create_task(watched.watch())
    honest = await be_honest(port, seconds)
    watching.cancel()
    return honest, watched


def show(name: str, honest: Honest, watched: Watched) -> None:
    print(
        f"{name:8} p50 {honest.p50_ms:.2f} ms, p99 {honest.p99_ms:.2f} ms, longest "
        f"{honest.longest_ms:.0f} ms, {honest.answers} answers, {honest.failures} failures; "
        f"health {honest.health_checks - honest.missed_health}/{honest.health_checks}, slowest "
        f"{honest.slowest_health_ms:.0f} ms; server {watched.server_mb:.0f} MB, helper "
        f"{watched.helper_mb:.0f} MB"
    )


def run(port: int, pid: int, seconds: float, silent: int = 1000) -> bool:
    """Measure; return whether every target is met."""
    calm, calm_memory = asyncio.run(honest_watched(port, pid, max(3.0, seconds / 4)))
    show("alone", calm, calm_memory)
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe()
    attacker = context.Process(target=attack, args=(port, seconds, silent, sending))
    attacker.start()
    used = psutil.Process(pid).cpu_times()
    beset, memory = asyncio.run(honest_watched(port, pid, seconds))
    after = psutil.Process(pid).cpu_times()
    statuses, attacker_s = receiving.recv()
    attacker.join()
    show("attacked", beset, memory)
    server_s = after.user + after.system - used.user - used.system
    print(
        f"cores used: server {server_s / seconds:.2f}, hostile clients {attacker_s / seconds:.2f}"
    )
    print(f"hostile clients got: {dict(sorted(statuses.items()))}")
    growth = memory.server_mb / calm_memory.server_mb
    targets = {
        f"honest p99 {beset.p99_ms:.1f} ms < {MAX_P99_MS:g} ms": beset.p99_ms < MAX_P99_MS,
        f"server's memory x {growth:.2f} <= {MAX_GROWTH:g}": growth <= MAX_GROWTH,
        "no status of 500 or more": not any(status.startswith("5") for status in statuses),
        "no missed health check": not beset.missed_health,
        "no honest client was cut off": not beset.failures,
    }
    for target, is_met in targets.items():
        print(f"{'met' if is_met else 'MISSED'}: {target}")
    return all(targets.values())


def main() -> None:
    """Start a server and measure it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--silent", type=int, default=1000, help="connections that say nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle = make_bundle(Path(folder))
        with subprocess.Popen(
            [sys.executable, "-c", ROBOYARD, "serve", f"walker={bundle}", "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        ) as server:
            assert server.stdout is not None
            port = int(server.stdout.readline().rsplit(":", 1)[1])
            is_good = run(port, server.pid, arguments.seconds, arguments.silent)
            server.send_signal(signal.SIGTERM)
    sys.exit(not is_good)


if __name__ == "__main__":
    main()
