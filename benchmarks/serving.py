"""Latency and throughput of the policy server against onnxruntime in-process and two peers.

A 12-joint policy (48 observations, 12 actions, two layers of 256) answers one observation for each
request. One load generator, whose requests are made beforehand, drives every server in turn, each
client waiting for its answer before it asks again. The peers run the same ``RuntimePolicy``; of
each the better of its settings without and with batching counts. Peers that are not installed are
left out with a line that says so. Every figure is the median of three rounds, rates with their
spread; at the end each target is said to be met or not. Takes about three minutes.

Run: OMP_NUM_THREADS=1 python benchmarks/serving.py [--seconds 1] [--no-peers]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from roboyard.policies.runtime.policy import RuntimePolicy
from roboyard.serving.http.tensors import save

OBSERVATIONS, ACTIONS = 48, 12
CLIENTS = (1, 16, 64)
PERIOD_S, ROBOTS = 0.01, 8
ROUNDS = 3
MAX_ABOVE_MS, MAX_P99_MS, MIN_RATIO = 0.5, 5.0, 1.5
Ask = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def make_bundle(folder: Path) -> Path:
    """Write a bundle with its graph; its weights are random."""
    import torch
    from gymnasium import spaces
    from stable_baselines3.common.vec_env import DummyVecEnv

    from roboyard.agents import build_agent
    from roboyard.policies import ObservationNormalizer, PolicyBundle
    from roboyard.policies.export import finalize
    from roboyard.testing.agent_configs import small_agent, small_experiment
    from roboyard.testing.fake_envs import FakeEnv

    torch.set_num_threads(1)
    observation = spaces.Box(-10, 10, (OBSERVATIONS,), np.float32)
    action = spaces.Box(-1, 1, (ACTIONS,), np.float32)
    config = small_experiment(small_agent("PPO", network={"actor": [256, 256], "critic": [8]}))
    env = DummyVecEnv([lambda: FakeEnv(observation, action)])
    path = PolicyBundle.write(
        folder / "walker.zip",
        policy=build_agent(config.agent, env, seed=0).policy,
        config=config,
        normalizer=ObservationNormalizer(np.zeros(OBSERVATIONS), np.ones(OBSERVATIONS)),
        observation_space=observation,
        action_space=action,
        provenance={},
    )
    finalize.export(path, make_env=lambda: FakeEnv(observation, action))
    return path


class Load(NamedTuple):
    """What one load showed; of several rounds, the medians."""

    rate: float
    """Answers per second."""
    p50_ms: float
    p99_ms: float
    spread: float = 0.0
    """Largest minus smallest rate of the rounds, as a share of the median."""


def median(rounds: list[Load]) -> Load:
    rates = [load.rate for load in rounds]
    rate, p50, p99, _ = np.median(rounds, axis=0)
    return Load(rate, p50, p99, (max(rates) - min(rates)) / rate)


def observation() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, OBSERVATIONS).astype(np.float32)


async def drive(port: int, clients: int, seconds: float, kind: str, path: str) -> Load:
    """Let clients ask one request after the other."""
    times: list[float] = []
    ask = make_ask(kind, port, path)
    warm_until = time.perf_counter() + 0.3 * seconds
    end = warm_until + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if kind == "ws":
            await shake_hands(reader, writer, port)
        while (start := time.perf_counter()) < end:
            await ask(reader, writer)
            if start > warm_until:
                times.append(time.perf_counter() - start)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    p50, p99 = np.percentile(times or [np.nan], [50, 99]) * 1e3
    return Load(len(times) / seconds, p50, p99)


async def control(port: int, seconds: float) -> tuple[int, int, float]:
    """Drive robots at a fixed rate; return answers, missed deadlines, and the longest time [ms]."""
    ask = make_ask("ws", port, "")
    times: list[float] = []

    async def robot(index: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await shake_hands(reader, writer, port)
        due = time.perf_counter() + index * PERIOD_S / ROBOTS
        end = due + seconds
        while due < end:
            await asyncio.sleep(due - time.perf_counter())
            await ask(reader, writer)
            times.append(time.perf_counter() - due)
            due += PERIOD_S
        writer.close()

    await asyncio.gather(*(robot(index) for index in range(ROBOTS)))
    return len(times), sum(took > PERIOD_S for took in times), max(times) * 1e3


def make_ask(kind: str, port: int, path: str) -> Ask:
    """Return what sends one request and reads its answer."""
    body = save({"observation": observation()})
    if kind == "ws":
        # A mask of zeros is valid and leaves the payload as it is.
        frame = b"\x82\xfe" + struct.pack(">H", len(body)) + bytes(4) + body

        async def ask_ws(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(frame)
            opcode, size = await reader.readexactly(2)
            assert opcode == 0x82, "an error came back"
            if size == 126:
                size = struct.unpack(">H", await reader.readexactly(2))[0]
            await reader.readexactly(size)

        return ask_ws
    content_type = "application/x-safetensors"
    if kind == "json":
        body = json.dumps({"observation": observation().tolist()}).encode()
        content_type = "application/json"
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: {content_type}\r\n"
    request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body

    async def ask_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request)
        headers = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert headers.startswith(b"http/1.1 200"), headers
        if b"transfer-encoding: chunked" in headers:
            await reader.readuntil(b"0\r\n\r\n")
            return
        start = headers.index(b"content-length:") + 15
        await reader.readexactly(int(headers[start : headers.index(b"\r\n", start)]))

    return ask_http


async def shake_hands(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int
) -> None:
    writer.write(
        f"GET /v1/policies/walker/session HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
        "upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n"
        "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    _, size = await reader.readexactly(2)
    if size == 126:
        size = struct.unpack(">H", await reader.readexactly(2))[0]
    await reader.readexactly(size)


ROBOYARD = "from roboyard.cli import main; main()"
LITSERVE = """
import sys, numpy as np, litserve as ls
from roboyard.policies.runtime.policy import RuntimePolicy
class Api(ls.LitAPI):
    def setup(self, device): self.policy = RuntimePolicy.open(sys.argv[1])
    def decode_request(self, request): return np.asarray(request["observation"], np.float32)
    def batch(self, inputs): return np.stack(inputs)
    def unbatch(self, output): return list(output)
    def predict(self, x): return self.policy.act(x if x.ndim == 2 else x[None]).actions
    def encode_response(self, output): return {"actions": np.asarray(output).ravel().tolist()}
if __name__ == "__main__":
    rows = int(sys.argv[3])
    api = Api(max_batch_size=rows, batch_timeout=0.001) if rows > 1 else Api()
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False,
               log_level="error", num_api_servers=1)
"""
RAY = """
import os, sys, time, logging, numpy as np, ray
from ray import serve
from roboyard.policies.runtime.policy import RuntimePolicy
path, port, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
serve.start(http_options={"host": "127.0.0.1", "port": port})
class One:
    def __init__(self): self.policy = RuntimePolicy.open(path)
    async def __call__(self, request):
        x = np.asarray((await request.json())["observation"], np.float32)
        return {"actions": self.policy.act(x[None]).actions[0].tolist()}
class Many:
    def __init__(self): self.policy = RuntimePolicy.open(path)
    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.001)
    async def act(self, rows): return list(self.policy.act(np.stack(rows)).actions)
    async def __call__(self, request):
        x = np.asarray((await request.json())["observation"], np.float32)
        return {"actions": (await self.act(x)).tolist()}
kind = Many if rows > 1 else One
serve.run(serve.deployment(kind, max_ongoing_requests=200).bind(), route_prefix="/predict")
while True: time.sleep(1)
"""


PEERS = {"LitServe": ("litserve", LITSERVE), "Ray Serve": ("ray.serve", RAY)}


@contextlib.contextmanager
def server(program: str, arguments: list[str], path: str) -> Iterator[int]:
    """Start a server and yield its port once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = [argument.replace("PORT", str(port)) for argument in arguments]
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/log", "w+") as log:
        script = Path(folder) / "program.py"  # LitServe starts its workers from a file.
        script.write_text(program)
        process = subprocess.Popen(
            [sys.executable, str(script), *given],
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        try:
            end = time.monotonic() + 120
            while True:
                with contextlib.suppress(OSError, AssertionError, EOFError):
                    asyncio.run(drive(port, 1, 0.05, "json", path))
                    break
                if process.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    raise RuntimeError(f"the server did not start: {log.read()[-2000:]}")
                time.sleep(0.2)
            yield port
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def row(name: str, loads: list[Load]) -> None:
    cells = [
        f"{load.p50_ms:.2f} / {load.p99_ms:.2f} | {load.rate:,.0f} ± {load.spread / 2:.0%}"
        for load in loads
    ]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def timed(act: Callable[[], object], seconds: float) -> Load:
    """Call again and again, in this process."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        act()
        times.append(time.perf_counter() - start)
    p50, p99 = np.percentile(times, [50, 99]) * 1e3
    return Load(len(times) / seconds, p50, p99)


def in_process(bundle: Path, seconds: float) -> tuple[Load, Load]:
    """Time onnxruntime alone, and the runtime with its checks of observation and action."""
    policy = RuntimePolicy.open(bundle)
    x = observation()[None]
    run, feed = policy._session.run, {"observation": x}
    if policy.contract.noise is not None:
        feed["noise"] = np.zeros((1, policy.contract.noise.size), np.float32)
    raw = [timed(lambda: run(["action"], feed), seconds) for _ in range(ROUNDS)]
    checked = [timed(lambda: policy.act(x), seconds) for _ in range(ROUNDS)]
    return median(raw), median(checked)


def measure(port: int, kind: str, path: str, seconds: float) -> list[Load]:
    return [
        median([asyncio.run(drive(port, clients, seconds, kind, path)) for _ in range(ROUNDS)])
        for clients in CLIENTS
    ]


def peers(bundle: Path, seconds: float) -> dict[str, list[Load]]:
    """Measure the peers that are installed, each at its better setting."""
    found: dict[str, list[Load]] = {}
    for name, (module, program) in PEERS.items():
        try:
            __import__(module)
        except ImportError:
            print(f"{name} is not installed and left out: pip install litserve 'ray[serve]'")
            continue
        settings: list[list[Load]] = []
        for rows in ("1", "64"):
            try:
                with server(program, [str(bundle), "PORT", rows], "/predict") as port:
                    settings.append(measure(port, "json", "/predict", seconds))
            except (RuntimeError, OSError, AssertionError, EOFError) as error:
                print(f"{name} with batches of {rows} could not be measured: {error!r:.300}")
        if settings:
            found[name] = [
                max(loads, key=lambda load: load.rate) for loads in zip(*settings, strict=False)
            ]
            row(f"{name}, JSON", found[name])
    return found


def target(name: str, found: str, is_met: bool | None) -> None:
    verdict = {True: "met", False: "NOT met", None: "not measured"}[is_met]
    print(f"| {name} | {found} | {verdict} |")


def judge(
    limit: Load, ours: dict[str, list[Load]], theirs: dict[str, list[Load]], missed: tuple[int, int]
) -> None:
    """Say of each target whether it is met."""
    print("\n| target | found | |\n|---|---|---|")
    above = ours["ws"][0].p50_ms - limit.p50_ms
    name = f"WebSocket p50 at most {MAX_ABOVE_MS} ms above onnxruntime in-process"
    target(name, f"{above:.2f} ms", above <= MAX_ABOVE_MS)
    for kind, loads in ours.items():
        p99 = loads[CLIENTS.index(16)].p99_ms
        target(f"p99 under {MAX_P99_MS:g} ms at 16 clients, {kind}", f"{p99:.2f} ms", p99 < 5)
    for peer in PEERS:
        ratios = [a.rate / b.rate for a, b in zip(ours["json"], theirs.get(peer, []), strict=False)]
        name = f"throughput at least {MIN_RATIO} times {peer}'s, JSON, at {CLIENTS} clients"
        found = ", ".join(f"{ratio:.1f}" for ratio in ratios) or "-"
        target(name, found, min(ratios) >= MIN_RATIO if ratios else None)
    late, answers = missed
    name = f"{ROBOTS} robots at {1 / PERIOD_S:.0f} Hz over WebSocket, no deadline missed"
    target(name, f"{late} of {answers} missed", late == 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="Length of a round.")
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    with tempfile.TemporaryDirectory() as folder:
        bundle = make_bundle(Path(folder))
        print(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
        heads = [f"{n} clients: p50 / p99 [ms] | answers/s" for n in CLIENTS]
        print(f"| | {' | '.join(heads)} |\n|---|{'---|---|' * len(CLIENTS)}")
        limit, checked = in_process(bundle, options.seconds)
        row("onnxruntime in-process", [limit])
        row("RuntimePolicy in-process", [checked])
        act = "/v1/policies/walker/act"
        own = ["serve", f"walker={bundle}", "--port", "PORT"]
        with server(ROBOYARD, own, act) as port:
            ours: dict[str, list[Load]] = {}
            for kind in ("ws", "json", "binary"):
                ours[kind] = measure(port, kind, act, options.seconds)
                row(f"Roboyard, {kind}", ours[kind])
            answers, missed, longest = asyncio.run(control(port, 10 * options.seconds))
        theirs = {} if options.no_peers else peers(bundle, options.seconds)
    judge(limit, ours, theirs, (missed, answers))
    print(f"\nThe longest of the {ROBOTS} robots' control steps took {longest:.2f} ms.")


if __name__ == "__main__":
    main()
