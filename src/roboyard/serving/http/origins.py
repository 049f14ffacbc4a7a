"""Which names the server answers to, and which pages may use it.

A browser runs pages of strangers, and lets each of them send requests to any address. Two checks
keep such a page away: the Host header must name this server, so that a name that an attacker
points here (DNS rebinding) is refused; and a request that a page of another origin makes is
refused where it could act. An IP address as Host is always right: only names can be pointed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from roboyard.serving.http.errors import HTTPError

_LOOPBACK_NAMES = ("localhost",)
_READING = ("GET", "HEAD", "OPTIONS")
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
Headers = Sequence[tuple[bytes, bytes]]


class OriginCheck:
    """Looks at the headers Host, Origin and Sec-Fetch-Site."""

    def __init__(self, allowed_hosts: Sequence[str]) -> None:
        """Create the check.

        Args:
            allowed_hosts: Names beside ``localhost``; ``*.example.org`` allows every name below,
                ``*`` all.
        """
        self._names = {name.lower() for name in (*_LOOPBACK_NAMES, *allowed_hosts)}
        self._suffixes = tuple(name[1:] for name in self._names if name.startswith("*."))
        self._allows_all = "*" in self._names
        self._good: set[bytes] = set()

    def check(self, headers: Headers, method: str | None) -> None:
        """Check one request.

        Args:
            headers: Its headers, names in lower case.
            method: Its HTTP method; None for a WebSocket.

        Raises:
            HTTPError: It names another host, or a page of another origin made it.
        """
        host = origin = site = None
        for name, value in headers:
            if name == b"host":
                if host is not None:
                    raise HTTPError(400, "host", "the request has more than one Host header.")
                host = value
            elif name == b"origin":
                origin = value
            elif name == b"sec-fetch-site":
                site = value
        self._check_host(host)
        if method in _READING:
            return  # A page of another origin cannot read the answer.
        is_strange = site in (b"cross-site", b"same-site") if origin is None else not _is_same(
            origin, host or b""
        )  # fmt: skip
        if is_strange:
            raise HTTPError(403, "origin", "requests from pages of other origins are not accepted.")

    def _check_host(self, host: bytes | None) -> None:
        if host in self._good:
            return
        if host is None:
            raise HTTPError(400, "host", "the request has no Host header.")
        if not self._is_allowed(host.decode("latin-1")):
            raise HTTPError(
                421,
                "host",
                "this server does not answer to the name in the Host header. Use its IP address "
                "or 'localhost', or start it with --allowed-host NAME.",
            )
        if len(self._good) < 64:
            self._good.add(host)

    def _is_allowed(self, host: str) -> bool:
        name = _split(f"//{host}")
        if name is None:
            return False
        if self._allows_all or name[0] in self._names or name[0].endswith(self._suffixes):
            return True
        try:
            ipaddress.ip_address(name[0])
        except ValueError:
            return False
        return True


def _is_same(origin: bytes, host: bytes) -> bool:
    """Return whether a page comes from the host that it asks."""
    text = origin.decode("latin-1")
    scheme = text.partition(":")[0].lower()
    page, own = _split(text), _split(f"//{host.decode('latin-1')}")
    if page is None or own is None or scheme not in _PORTS:
        return False
    default = _PORTS[scheme]
    return (page[0], page[1] or default) == (own[0], own[1] or default)


def _split(text: str) -> tuple[str, int | None] | None:
    """Return host and port of an address; None where it has another form."""
    try:
        parts = urlsplit(text)
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not name or parts.username is not None or parts.path or parts.query or parts.fragment:
        return None
    return name.rstrip("."), port
