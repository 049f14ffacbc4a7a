"""Which runs this user made on this machine: a seal under the config of each.

The seal is an HMAC of the text with a key that never leaves the machine. So a run directory that
was fetched, unpacked or edited by others is told from one's own, wherever it lies and whoever owns
its files.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import hmac
import logging
import os
import secrets
from pathlib import Path

_MARK = "# seal: "
_KEY_BYTES = 32
_LOG = logging.getLogger(__name__)


def sealed(text: str) -> str:
    """Return a YAML text with this user's seal as its last line, a comment.

    Without a folder to keep a key in, the text stays without a seal.
    """
    key = _key(_key_file())
    return text if key is None else f"{text}{_MARK}{_digest(key, text)}\n"


def is_sealed(text: str) -> bool:
    """Return whether this user's seal is under a text, and the text is as it was sealed."""
    body, mark, seal = text.rpartition(_MARK)
    key = _key(_key_file()) if mark else None
    return key is not None and hmac.compare_digest(_digest(key, body), seal.strip())


def _digest(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _key_file() -> Path:
    """Return where the key is kept, by the XDG base directory specification."""
    state = os.environ.get("XDG_STATE_HOME", "")
    folder = Path(state) if Path(state).is_absolute() else Path("~/.local/state").expanduser()
    return folder / "roboyard" / "seal.key"


@functools.lru_cache(maxsize=4)
def _key(path: Path) -> bytes | None:
    """Return the key, made at its first use; None where none can be kept."""
    try:
        return _read(path) or _made(path)
    except (OSError, RuntimeError) as error:
        _LOG.info("runs get no seal, because '%s' cannot be used: %s", path, error)
        return None


def _read(path: Path) -> bytes | None:
    """Return a key that nobody else can read or have put there."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        facts = os.fstat(file.fileno())
        key = file.read(_KEY_BYTES + 1)
        if facts.st_uid == os.geteuid() and not facts.st_mode & 0o077 and len(key) == _KEY_BYTES:
            return key
        raise OSError("others can read it, or it is damaged; remove it to get another")
    return None


def _made(path: Path) -> bytes | None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # of two that make one, the first counts
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return _read(path)
