"""``roboyard serve``: answer requests with policies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from roboyard.cli.output import echo

_BUNDLES_HELP = "Bundle file or run directory, also in s3://. Bundles of one name are versions."
_WATCH_HELP = "Folder or s3://bucket/prefix whose bundles are loaded and reloaded; repeatable."
_SPLIT_HELP = "Shares of a policy's bundles in their order, such as walker=90,10; repeatable."
_TOKEN_HELP = "File with bearer tokens, one a line; or set ROBOYARD_SERVE_TOKEN."
_HOST_HELP = "Name that clients may use beside localhost and IP addresses; '*' is any; repeatable."
_PROXY_HELP = "Address or network whose X-Forwarded-For is believed; repeatable."

Bundles = Annotated[
    list[str] | None,
    typer.Argument(metavar="[[NAME=]BUNDLE]...", help=_BUNDLES_HELP, show_default=False),
]
Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
Port = Annotated[int, typer.Option("--port", "-p", help="Port; 0 takes a free one.")]
Watch = Annotated[list[str] | None, typer.Option("--watch", help=_WATCH_HELP)]
WatchInterval = Annotated[
    float, typer.Option("--watch-interval", help="Time between two looks [s].")
]
Split = Annotated[list[str] | None, typer.Option("--split", help=_SPLIT_HELP)]
TokenFile = Annotated[Path | None, typer.Option("--token-file", help=_TOKEN_HELP)]
MaxBatch = Annotated[
    int, typer.Option("--max-batch", help="Most observations put through the network together.")
]
MaxWait = Annotated[
    float, typer.Option("--max-wait-ms", help="How long an idle network waits for a batch [ms].")
]
MaxRequest = Annotated[int, typer.Option("--max-request-bytes", help="Longest request [bytes].")]
RateLimit = Annotated[
    float, typer.Option("--rate-limit", help="Requests per second and client; 0 is unlimited.")
]
DrainDelay = Annotated[
    float, typer.Option("--drain-delay", help="Time between SIGTERM and closing the port [s].")
]
AllowedHost = Annotated[list[str] | None, typer.Option("--allowed-host", help=_HOST_HELP)]
Proxy = Annotated[list[str] | None, typer.Option("--proxy", help=_PROXY_HELP)]
MaxConnections = Annotated[
    int, typer.Option("--max-connections", help="Most connections at a time.")
]
MaxPerAddress = Annotated[
    int,
    typer.Option("--max-connections-per-address", help="Most of them from one address."),
]
AccessLog = Annotated[bool, typer.Option("--access-log", help="Log every request.")]


def serve(
    bundles: Bundles = None,
    *,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    watch: Watch = None,
    watch_interval: WatchInterval = 2.0,
    split: Split = None,
    token_file: TokenFile = None,
    max_batch: MaxBatch = 64,
    max_wait_ms: MaxWait = 0.0,
    max_request_bytes: MaxRequest = 16 * 2**20,
    rate_limit: RateLimit = 0.0,
    max_connections: MaxConnections = 512,
    max_connections_per_address: MaxPerAddress = 256,
    allowed_host: AllowedHost = None,
    proxy: Proxy = None,
    drain_delay: DrainDelay = 0.0,
    access_log: AccessLog = False,
) -> None:
    """Serve policies over HTTP and WebSocket until SIGTERM or Ctrl-C.

    For example:

        roboyard serve runs/cartpole/20260101-120000

        roboyard serve walker=old.zip walker=new.zip --split walker=90,10

        roboyard serve --watch s3://bucket/policies --host 0.0.0.0 --token-file tokens
    """
    from roboyard.serving.http.auth import read_tokens
    from roboyard.serving.http.logs import configure_logs
    from roboyard.serving.server import serve as run
    from roboyard.serving.settings import Settings

    settings = Settings(
        host=host,
        port=port,
        tokens=read_tokens(token_file),
        max_request_bytes=max_request_bytes,
        max_batch_rows=max_batch,
        max_wait_s=max_wait_ms / 1e3,
        rate_limit=rate_limit,
        watch_interval_s=watch_interval,
        max_connections=max_connections,
        max_connections_per_address=max_connections_per_address,
        allowed_hosts=tuple(allowed_host or ()),
        trusted_proxies=tuple(proxy or ()),
        drain_delay_s=drain_delay,
        access_log=access_log,
    )
    configure_logs()
    run(bundles or (), settings, splits=split or (), watch=watch or (), on_listening=echo)
