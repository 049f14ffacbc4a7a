"""Hot reload: a folder or a store that is looked at again and again.

``NAME.zip`` is the only version of policy NAME. ``NAME/*.zip`` are its versions; the last by name
gets all requests, unless ``NAME/split.json`` gives shares, such as ``{"a.zip": 90, "b.zip": 10}``.
What cannot be loaded is reported, and what was loaded before stays.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from roboyard.errors import ConfigError, PolicyError, RoboyardError, StorageError
from roboyard.policies.bundle.locate import SUFFIXES, is_uri
from roboyard.serving.model.catalog import Catalog, Version, check_name, weigh
from roboyard.serving.model.loading import Loader
from roboyard.storage import ObjectInfo, Store, open_store

_SPLIT = "split.json"
_LOG = logging.getLogger("roboyard.serving")


class _Found(NamedTuple):
    """What a look found of one policy."""

    bundles: dict[str, str]
    """Version of each bundle's object, by key, in order."""
    split: str | None
    """Version of the split's object."""


@dataclass
class _Known:
    """What is loaded of one policy."""

    versions: dict[str, Version] = field(default_factory=dict)
    seen: _Found | None = None
    has_vanished: bool = False


class Watcher:
    """Keeps the catalog as one folder or store wants it."""

    def __init__(self, uri: str, loader: Loader, catalog: Catalog) -> None:
        """Create a watcher; nothing is contacted before the first look.

        Raises:
            StorageError: The address is wrong.
        """
        self.uri = uri
        self._store: Store = open_store(uri)
        self._loader = loader
        self._catalog = catalog
        self._known: dict[str, _Known] = {}
        self._refused: dict[str, str] = {}

    async def look(self) -> None:
        """Load what is new or changed, and take away what has gone.

        Raises:
            StorageError: The store cannot be read; nothing was changed.
        """
        infos = await asyncio.to_thread(lambda: list(self._store.list()))
        found = _by_policy([info for info in infos if self._is_file(info)])
        for name in [*found, *(known for known in self._known if known not in found)]:
            if name not in self._known and name in self._catalog.entries:
                self._refuse(name, "taken", f"the name '{name}' is taken by another bundle.")
                continue
            await self._update(name, found.get(name, _Found({}, None)))

    async def run(self, interval_s: float) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self.look()
            except RoboyardError as error:
                _LOG.warning("watching failed", extra={"place": self.uri, "reason": str(error)})
            except Exception as error:  # Such as a full disk; what is loaded stays.
                reason = f"{type(error).__name__}: {error}"
                _LOG.exception("watching failed", extra={"place": self.uri, "reason": reason})

    async def _update(self, name: str, found: _Found) -> None:
        known = self._known.setdefault(name, _Known())
        if not found.bundles and known.versions and not known.has_vanished:
            # Somebody may be replacing the file by deleting it first: believe the second look.
            known.has_vanished = True
            return
        known.has_vanished = False
        if known.seen == found:
            return
        is_complete = True
        versions: dict[str, Version] = {}
        for key, stamp in found.bundles.items():
            before = known.seen.bundles.get(key) if known.seen else None
            if key in known.versions and before == stamp:
                versions[key] = known.versions[key]
                continue
            loaded = await self._load(name, key, stamp)
            is_complete &= loaded is not None or self._refused.get(key) == stamp
            if loaded is not None:
                versions[key] = loaded
            elif key in known.versions:
                versions[key] = known.versions[key]
        known.seen = found if is_complete else None
        await self._publish(name, known, versions, found.split)

    async def _load(self, name: str, key: str, stamp: str) -> Version | None:
        if self._refused.get(key) == stamp:
            return None
        try:
            return await asyncio.to_thread(
                self._loader.fetch, self.uri, key, check_name(name), is_strange=True
            )
        except StorageError as error:
            _LOG.warning("watching failed", extra={"place": self.uri, "reason": str(error)})
        except (PolicyError, ConfigError) as error:
            self._refuse(key, stamp, str(error))
        return None

    async def _publish(
        self, name: str, known: _Known, versions: dict[str, Version], split: str | None
    ) -> None:
        ordered = list({version.digest: version for version in versions.values()}.values())
        try:
            shares = None
            if split is not None and ordered:
                shares = await asyncio.to_thread(self._read_split, name)
            weigh(name, ordered, shares)
        except RoboyardError as error:
            self._refuse(f"{name}/{_SPLIT}", split or "", str(error))
            if known.versions:
                return
            weigh(name, ordered, None)
        known.versions = versions
        before = [version.digest for version in self._catalog.entries.get(name, ())]
        self._catalog.publish(name, ordered)
        after = [version.digest for version in ordered]
        if before != after:
            _LOG.info("policy changed", extra={"policy": name, "from": before, "to": after})

    def _read_split(self, name: str) -> dict[str, float]:
        try:
            content = json.loads(self._store.get(f"{name}/{_SPLIT}").data)
            return {str(key): float(share) for key, share in content.items()}
        except (ValueError, AttributeError, TypeError, RecursionError):
            raise ConfigError(
                f"'{name}/{_SPLIT}' must be an object of shares, such as "
                '{"a.zip": 90, "b.zip": 10}.'
            ) from None

    def _is_file(self, info: ObjectInfo) -> bool:
        """Leave pipes and devices alone; reading one may never end."""
        if is_uri(self.uri) or Path(self.uri, info.key).is_file():
            return True
        if info.key.endswith((*SUFFIXES, _SPLIT)):
            self._refuse(info.key, "no file", "it is not a regular file.")
        return False

    def _refuse(self, key: str, stamp: str, reason: str) -> None:
        if self._refused.get(key) != stamp:
            self._refused[key] = stamp
            _LOG.error("bundle refused", extra={"place": self.uri, "key": key, "reason": reason})


def _by_policy(infos: Iterable[ObjectInfo]) -> dict[str, _Found]:
    bundles: dict[str, dict[str, str]] = {}
    splits: dict[str, str] = {}
    for info in infos:
        folder, _, file = info.key.rpartition("/")
        if "/" in folder:
            continue
        if file.endswith(SUFFIXES):
            name = folder or file.rpartition(".")[0]
            bundles.setdefault(name, {})[info.key] = info.version
        elif folder and file == _SPLIT:
            splits[folder] = info.version
    return {name: _Found(own, splits.get(name)) for name, own in bundles.items()}
