"""What a lease object holds, and how others see it."""

from __future__ import annotations

import dataclasses
import json

from roboyard import json_text
from roboyard.errors import StorageError
from roboyard.storage.base import NotFoundError, ObjectInfo, Store, join_key
from roboyard.storage.leases.holder import Holder

LEASE_FILE = "lease.json"
"""Name of the lease object in a run's folder."""

_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class LeaseRecord:
    """The content of a lease object."""

    epoch: int
    """Grows by one whenever the holder changes."""
    owner: str
    """What the holder calls itself, for people."""
    holder: Holder
    """Who holds it."""
    ttl_s: float
    """How long one sign of life counts [s]."""
    nonce: str
    """Makes every renewal differ."""
    released: bool = False
    """Whether the holder gave it back."""

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        return json.dumps({"format_version": _FORMAT} | dataclasses.asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes, uri: str) -> LeaseRecord:
        """Parse it.

        Raises:
            StorageError: It is damaged or of another version.
        """
        try:
            raw = json_text.loads(data)
            version = raw.pop("format_version")
            if version == _FORMAT:
                return cls(**raw | {"holder": Holder(**raw["holder"])})
            fault = f"has format version {version}, this version of Roboyard reads {_FORMAT}"
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            fault = f"cannot be read ({error})"
        raise StorageError(
            f"lease '{uri}' {fault}. Make sure that nothing drives the run, then delete it."
        )


@dataclasses.dataclass(frozen=True)
class Observed:
    """A lease as somebody else sees it."""

    record: LeaseRecord
    info: ObjectInfo

    @property
    def is_free(self) -> bool:
        """Whether it may be taken: given back, run out, or its holder is known to be dead."""
        record = self.record
        return record.released or self.info.age_s > record.ttl_s or record.holder.is_dead()


def observe(store: Store, key: str) -> Observed | None:
    """Read a lease without touching it; ``None`` if there never was one.

    Raises:
        StorageError: It cannot be read.
    """
    try:
        data, info = store.get(key)
    except NotFoundError:
        return None
    return Observed(LeaseRecord.from_bytes(data, join_key(store.uri, key)), info)
