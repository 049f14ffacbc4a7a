"""The loaded policies: names, versions, and which version answers which request."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from roboyard.errors import ConfigError
from roboyard.policies.runtime.contract_reader import Contract
from roboyard.policies.runtime.policy import RuntimePolicy
from roboyard.registry import suggest
from roboyard.serving.http.describe import contract_to_json
from roboyard.serving.http.errors import HTTPError
from roboyard.serving.model.batching import Batcher

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_name(name: str) -> str:
    """Return a policy's name if it can stand in an address.

    Raises:
        ConfigError: It cannot.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"policy name '{name}' cannot be used in an address. Allowed: letters, digits, "
            "'.', '_' and '-', at most 100. Give another one as NAME=BUNDLE."
        )
    return name


@dataclass(eq=False)
class Version:
    """One version of a policy, ready to act."""

    name: str
    policy: RuntimePolicy
    batcher: Batcher
    source: str = ""
    """Where it came from."""
    weight: float = 1.0
    """Its share of the requests, relative to the other versions."""
    answered: float = 0.0
    """How many requests it was chosen for, measured in shares."""
    is_live: bool = True
    """Whether new sessions may use it."""

    @property
    def digest(self) -> str:
        """Which version it is."""
        return self.policy.version

    @property
    def contract(self) -> Contract:
        """What it reads and returns."""
        return self.policy.contract

    def most_numbers(self, rows: int) -> int:
        """Return how many numbers a request of so many observations may hold."""
        sizes = [spec.size for spec in self.contract.observations.values()]
        memory = [layers * width for layers, _, width in self.contract.state_shapes]
        return rows * (sum(sizes) + sum(memory))


@dataclass
class Catalog:
    """Names to versions. Publishing swaps a whole entry, so requests never see half of one."""

    entries: dict[str, tuple[Version, ...]] = field(default_factory=dict)

    def publish(self, name: str, versions: Sequence[Version]) -> None:
        """Make these the versions of a policy; requests under way end on the old ones."""
        for old in self.entries.get(name, ()):
            old.is_live = old in versions
        for version in versions:
            version.answered = 0.0
        if versions:
            self.entries[name] = tuple(versions)
        else:
            self.entries.pop(name, None)

    def names(self) -> list[str]:
        """Return the policies' names, sorted."""
        return sorted(self.entries)

    @property
    def versions(self) -> int:
        """How many versions are loaded."""
        return sum(map(len, self.entries.values()))

    def choose(self, name: str, digest: str | None = None, key: str | None = None) -> Version:
        """Return the version that answers a request.

        Args:
            name: The policy.
            digest: A certain version, or the beginning of its digest.
            key: Requests with the same key get the same version while the split stays.

        Raises:
            HTTPError: There is no such policy or version.
        """
        versions = self.entries.get(name)
        if versions is None:
            listed = ", ".join(self.names()) or "none"
            raise HTTPError(
                404,
                "policy",
                f"policy '{name[:100]}' is not loaded. Loaded: {listed}."
                f"{suggest(name[:100], self.entries)}",
            )
        if digest is not None:
            return _with_digest(name, versions, digest)
        if len(versions) == 1:
            return versions[0]
        return _by_key(versions, key) if key is not None else _next(versions)

    def only(self) -> str:
        """Return the name of the only policy, for routes without a name.

        Raises:
            HTTPError: There are none or several.
        """
        if len(self.entries) == 1:
            return next(iter(self.entries))
        raise HTTPError(
            404,
            "policy",
            f"{len(self.entries)} policies are loaded, so the request must name one: "
            f"{', '.join(self.names()) or 'none'}.",
        )

    def to_json(self) -> list[JsonValue]:
        """Return what clients are told."""
        return [entry_to_json(name, self.entries[name]) for name in self.names()]


def entry_to_json(name: str, versions: Sequence[Version]) -> dict[str, JsonValue]:
    """Return one policy as clients see it."""
    total = sum(version.weight for version in versions)
    return {
        "name": name,
        "versions": [
            {
                "version": version.digest,
                "share": version.weight / total,
                **contract_to_json(version.contract),
            }
            for version in versions
        ],
    }


def weigh(name: str, versions: Sequence[Version], shares: Mapping[str, float] | None) -> None:
    """Set the shares of versions by the names of their sources.

    Args:
        name: The policy, for messages.
        versions: Its versions; without shares the last one gets all requests.
        shares: Share of each source's file name.

    Raises:
        ConfigError: A share names no version, is negative, or all are zero.
    """
    if shares is None:
        for version in versions:
            version.weight = float(version is versions[-1])
        return
    found = {version.source.rpartition("/")[2]: version for version in versions}
    for source in shares:
        if source not in found:
            raise ConfigError(
                f"the split of policy '{name}' names '{source}'. Allowed: {', '.join(found)}."
                f"{suggest(source, found)}"
            )
    for source, version in found.items():
        version.weight = float(shares.get(source, 0.0))
    check_weights(name, versions)


def check_weights(name: str, versions: Sequence[Version]) -> None:
    """Refuse shares that are negative or all zero.

    Raises:
        ConfigError: They are.
    """
    weights = [version.weight for version in versions]
    if not all(0 <= weight < float("inf") for weight in weights) or not any(weights):
        raise ConfigError(f"the split of policy '{name}' needs shares of 0 or more, not all 0.")


def _with_digest(name: str, versions: Sequence[Version], digest: str) -> Version:
    for version in versions:
        if len(digest) >= 6 and version.digest.startswith(digest):
            return version
    listed = ", ".join(version.digest for version in versions)
    raise HTTPError(
        404, "version", f"policy '{name}' has no version '{digest[:100]}'. Loaded: {listed}."
    )


def _next(versions: Sequence[Version]) -> Version:
    """Return the version that is furthest behind its share, so that shares hold exactly."""
    chosen = min(
        (version for version in versions if version.weight > 0),
        key=lambda version: (version.answered + 1) / version.weight,
    )
    chosen.answered += 1
    return chosen


def _by_key(versions: Sequence[Version], key: str) -> Version:
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    point = int.from_bytes(digest) / 2**64 * sum(version.weight for version in versions)
    for version in versions:
        point -= version.weight
        if point < 0:
            return version
    return max(versions, key=lambda version: version.weight)
