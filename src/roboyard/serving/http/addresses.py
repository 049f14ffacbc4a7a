"""Sets of IP addresses and networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from roboyard.errors import ConfigError


class Addresses:
    """Addresses and networks such as ``10.0.0.7`` and ``10.1.0.0/16``."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Read them.

        Raises:
            ConfigError: One is no address.
        """
        try:
            self._networks = [ipaddress.ip_network(text, strict=False) for text in texts]
        except ValueError as error:
            raise ConfigError(
                f"a proxy's address is wrong: {error}. Give an IP address or network, such as "
                "10.0.0.7 or 10.1.0.0/16."
            ) from None

    def __contains__(self, address: str) -> bool:
        if not self._networks:
            return False
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)
