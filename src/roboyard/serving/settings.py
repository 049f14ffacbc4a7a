"""What a server can be told."""

from __future__ import annotations

from dataclasses import dataclass, field

from roboyard.errors import ConfigError
from roboyard.serving.http.addresses import Addresses

TOKEN_VARIABLE = "ROBOYARD_SERVE_TOKEN"
CONNECTION_RESERVE = 64
"""Connections beyond the limit, on which only the health routes answer."""
_COUNTS = (
    "max_request_bytes",
    "max_rows",
    "max_batch_rows",
    "max_queued_rows",
    "max_connections",
    "max_connections_per_address",
    "max_headers",
    "max_header_bytes",
    "max_message_bytes",
    "max_pending_bytes",
    "open_memory_bytes",
)


@dataclass(frozen=True)
class Settings:
    """Options of a server; the defaults are safe on a developer's machine."""

    host: str = "127.0.0.1"
    """Address to listen on; ``0.0.0.0`` is every interface."""
    port: int = 8080
    """Port; 0 takes a free one."""
    tokens: tuple[str, ...] = field(default=(), repr=False)
    """Bearer tokens that are let in; empty lets everybody in."""
    max_request_bytes: int = 16 * 2**20
    """Longest request body [bytes]."""
    max_rows: int = 1024
    """Most observations in one request."""
    max_batch_rows: int = 64
    """Most observations that are put through the network together; 1 turns batching off."""
    max_wait_s: float = 0.0
    """How long an idle network may wait for more requests to batch with the first [s]."""
    max_queued_rows: int = 8192
    """Observations that may wait for one network; more are answered with 429."""
    rate_limit: float = 0.0
    """Requests per second and client; 0 is unlimited."""
    max_sessions: int = 512
    """Most WebSocket sessions at a time."""
    max_connections: int = 512
    """Most connections at a time, and a few more for health checks."""
    max_connections_per_address: int = 256
    """Most connections at a time from one address."""
    max_headers: int = 100
    """Most headers of one request."""
    max_header_bytes: int = 16 * 1024
    """Most bytes of a request's address and headers together."""
    header_timeout_s: float = 10.0
    """How long a client may take to send the headers of a request [s]."""
    body_timeout_s: float = 30.0
    """How long a client may take to send a request body or a message [s]."""
    max_message_bytes: int = 2**20
    """Longest WebSocket message [bytes]."""
    max_pending_bytes: int = 16 * 2**20
    """Most bytes of unfinished bodies and messages that are held at a time [bytes]."""
    allowed_hosts: tuple[str, ...] = ()
    """Names that the server answers to beside ``localhost`` and IP addresses; ``*`` is any."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks whose ``X-Forwarded-For`` is believed."""
    open_timeout_s: float = 30.0
    """How long a watched bundle may take to open [s]."""
    open_memory_bytes: int = 4 * 2**30
    """Most memory that opening a watched bundle may take [bytes]."""
    watch_interval_s: float = 2.0
    """Time between two looks at the watched places [s]."""
    drain_delay_s: float = 0.0
    """How long to go on serving, while /readyz says no, before closing the port [s]."""
    drain_timeout_s: float = 30.0
    """How long requests under way may take to end after that [s]."""
    access_log: bool = False
    """Whether every request is a line in the log."""

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("max_wait_s", "rate_limit", "drain_delay_s", "watch_interval_s"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 0 or more.")
        for name in ("header_timeout_s", "body_timeout_s", "open_timeout_s"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be more than 0.")
        Addresses(self.trusted_proxies)
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port is {self.port}; allowed: 0 to 65535.")
