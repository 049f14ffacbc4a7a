"""Who may come in, and how often."""

from __future__ import annotations

import hmac
import os
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from roboyard.errors import ConfigError
from roboyard.serving.http.errors import HTTPError
from roboyard.serving.settings import TOKEN_VARIABLE

_MAX_CLIENTS = 10_000
_MIN_TOKEN = 16


def read_tokens(file: Path | None) -> tuple[str, ...]:
    """Return the tokens of a file, one a line, or of the environment variable.

    Raises:
        ConfigError: The file cannot be read, or a token is too short or not plain text.
    """
    if file is None:
        text, where = os.environ.get(TOKEN_VARIABLE, ""), f"${TOKEN_VARIABLE}"
        if TOKEN_VARIABLE not in os.environ:
            return ()
    else:
        where = f"'{file}'"
        try:
            text = file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the token file {where} cannot be read ({error}).") from None
    tokens = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not tokens:
        raise ConfigError(f"{where} holds no token; write one, such as: openssl rand -hex 32")
    for token in tokens:
        if len(token) < _MIN_TOKEN or not token.isascii() or not token.isprintable():
            raise ConfigError(
                f"a token in {where} is unfit: at least {_MIN_TOKEN} printable ASCII characters "
                "are needed. Make one with: openssl rand -hex 32"
            )
    return tokens


class Authenticator:
    """Compares bearer tokens in constant time; tokens never reach a log or a message."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = [token.encode() for token in tokens]

    def check(self, authorization: bytes | None) -> int | None:
        """Return which token was shown; None where no token is needed.

        Raises:
            HTTPError: None of ours was shown.
        """
        if not self._tokens:
            return None
        scheme, _, shown = (authorization or b"").partition(b" ")
        found: int | None = None
        for index, token in enumerate(self._tokens):
            # All are compared, so that the time does not tell which was close.
            if hmac.compare_digest(shown.strip(), token):
                found = index
        if found is None or scheme.lower() != b"bearer":
            raise HTTPError(
                401, "token", "this server needs the header 'Authorization: Bearer TOKEN'."
            )
        return found


class RateLimit:
    """A bucket of requests for each client that fills up steadily."""

    def __init__(self, per_s: float) -> None:
        """Create the limit.

        Args:
            per_s: Requests per second and client; 0 is unlimited. One second's worth may come
                at once.
        """
        self._per_s = per_s
        self._burst = max(1.0, per_s)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Count one request.

        Raises:
            HTTPError: The client sends too many.
        """
        if not self._per_s:
            return
        now = time.monotonic()
        level, then = self._buckets.pop(client, (self._burst, now))
        level = min(self._burst, level + (now - then) * self._per_s)
        is_allowed = level >= 1.0
        self._buckets[client] = (level - is_allowed, now)
        if len(self._buckets) > _MAX_CLIENTS:
            self._buckets.popitem(last=False)
        if not is_allowed:
            raise HTTPError(
                429,
                "rate",
                f"more than {self._per_s:g} requests per second; slow down.",
                retry_after_s=(1.0 - level) / self._per_s,
            )
