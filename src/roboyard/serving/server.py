"""Running a server: load, listen, watch, and end without breaking a request off."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import socket
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from roboyard.errors import ConfigError
from roboyard.optional import require
from roboyard.serving.http.state import ServerState
from roboyard.serving.model.loading import Loader, load_all
from roboyard.serving.model.watching import Watcher
from roboyard.serving.settings import CONNECTION_RESERVE, Settings

if TYPE_CHECKING:
    import uvicorn

_LOG = logging.getLogger("roboyard.serving")
_SWITCH_INTERVAL_S = 5e-4  # Python's default is 5 ms, as long as a request may take in all.
_OTHER_FILES = 128
_TICKS_PER_SWEEP = 10  # uvicorn ticks ten times a second.
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve(
    bundles: Sequence[str],
    settings: Settings | None = None,
    *,
    splits: Sequence[str] = (),
    watch: Sequence[str] = (),
    on_listening: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve policies until SIGTERM or Ctrl-C.

    Args:
        bundles: ``[NAME=]LOCATION`` each: bundle file or run directory, also in a store.
        settings: Address, limits and so on.
        splits: ``NAME=SHARE,SHARE`` each.
        watch: Folders or stores whose bundles are loaded and reloaded.
        on_listening: Called with the address once requests are answered.

    Raises:
        ConfigError: There is nothing to serve, or the address cannot be used.
        PolicyError: A bundle is damaged.
        MissingDependencyError: The extra ``serve`` is not installed.
    """
    for module in ("onnxruntime", "fastapi", "uvicorn", "httptools", "websockets"):
        require(module, "serve")
    if not bundles and not watch:
        raise ConfigError("there is nothing to serve; name a bundle, or a place with --watch.")
    state = ServerState(settings or Settings())
    loader = Loader(state.settings, state.telemetry)
    load_all(loader, state.catalog, bundles, splits)
    watchers = [Watcher(uri, loader, state.catalog) for uri in watch]
    _avoid_pauses()
    _raise_file_limit(state.settings)
    runner = asyncio.Runner(loop_factory=_loop_factory())
    try:
        with _bind(state.settings) as listener, runner:
            runner.run(_run(state, watchers, listener, on_listening))
    finally:
        loader.close()
        state.reader.close()


def _raise_file_limit(settings: Settings) -> None:
    """Let every connection have its file.

    Raises:
        ConfigError: The system does not allow so many.
    """
    wanted = settings.max_connections + CONNECTION_RESERVE + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise ConfigError(
            f"{settings.max_connections} connections need {wanted} files, but this process may "
            f"open {hard}. Raise the limit (ulimit -Hn), or give --max-connections "
            f"{max(1, hard - CONNECTION_RESERVE - _OTHER_FILES)}."
        )
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _avoid_pauses() -> None:
    """Keep the interpreter from making requests wait.

    What is loaded by now stays, so garbage collections need not look at it. And a thread that
    reads a new bundle, or runs a slow network, gets the interpreter for shorter turns.
    """
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop where it is installed; it takes a quarter off the latency."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _run(
    state: ServerState,
    watchers: Sequence[Watcher],
    listener: socket.socket,
    on_listening: Callable[[str], None],
) -> None:
    for watcher in watchers:
        await watcher.look()
    tasks = [asyncio.create_task(w.run(state.settings.watch_interval_s)) for w in watchers]
    address = _address(listener)
    server = make_server(state, lambda: on_listening(address))
    facts = {"address": address, "policies": state.catalog.names()}
    _LOG.info("serving", extra=facts)
    if state.settings.host not in _LOOPBACK and not state.settings.tokens:
        _LOG.warning("everybody who reaches this address is answered: no token is set")
    try:
        await server.serve(sockets=[listener])
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    _LOG.info("stopped")


def make_server(state: ServerState, on_listening: Callable[[], None]) -> uvicorn.Server:
    """Return a uvicorn server that drains before it ends."""
    import uvicorn

    from roboyard.serving.http.app import create_app
    from roboyard.serving.http.connections import Connections, HttpProtocol
    from roboyard.serving.http.websocket_connections import SessionProtocol

    settings = state.settings

    class DrainingServer(uvicorn.Server):
        """First SIGTERM: not ready, wait, finish what is under way, end. Second one: end now."""

        _draining_since: float | None = None

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_listening()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            del frame  # Unused.
            if self._draining_since is None:
                self._draining_since = time.monotonic()
                state.is_draining = True
                _LOG.info("draining", extra={"signal": int(sig)})
            else:
                self.should_exit = self.force_exit = True

        async def on_tick(self, counter: int) -> bool:
            if counter % _TICKS_PER_SWEEP == 0:
                now = time.monotonic()
                for connection in list(self.server_state.connections):
                    connection.sweep(now)  # type: ignore[union-attr]
            since = self._draining_since
            if since is not None and time.monotonic() - since >= settings.drain_delay_s:
                for session in list(state.sessions):
                    await session.close_when_idle()
                self.should_exit = True
            return await super().on_tick(counter)

    config = uvicorn.Config(
        create_app(state),
        http=partial(HttpProtocol, Connections(state)),  # type: ignore[arg-type]
        ws=SessionProtocol,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        ws_max_size=min(settings.max_request_bytes, settings.max_message_bytes),
        ws_per_message_deflate=False,  # It costs more than it saves on a few floats.
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=max(1, round(settings.drain_timeout_s)),
    )
    return DrainingServer(config)


def _bind(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}. "
            "Choose another --port; 0 takes a free one."
        ) from error
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
