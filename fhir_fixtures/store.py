"""The resources an embedded FHIR server holds, in memory.

Keeps the newest version of each resource and remembers which were deleted. A stored resource is never
changed in place, so what was handed out stays valid; a transaction happens as a whole or not at all.
Contents are kept as they came, even when a date or a number in them is not valid FHIR.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fhir_fixtures.references import names_of_entries, with_references_renamed
from fhir_fixtures.refusals import Refused

Resource = dict[str, Any]

FHIR_ID = re.compile(r"[A-Za-z0-9.\-]{1,64}")
TYPE_NAME = re.compile(r"[A-Z][A-Za-z]{1,63}")


@dataclass(frozen=True)
class Version:
    """The newest version of one resource; `resource` is None once it was deleted."""

    number: int
    resource: Resource | None


class Store:
    """Resources by type and id. Every method may be called from several threads."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._lock = threading.RLock()
        self._versions: dict[str, dict[str, Version]] = {}

    def read(self, type: str, id: str) -> Resource:
        with self._lock:
            version = self._versions.get(type, {}).get(id)
        if version is None:
            raise Refused(404, "not-found", f"{type}/{id} is not known")
        if version.resource is None:
            raise Refused(410, "deleted", f"{type}/{id} was deleted")
        return version.resource

    def all_of(self, type: str) -> list[Resource]:
        with self._lock:
            versions = list(self._versions.get(type, {}).values())
        return [version.resource for version in versions if version.resource is not None]

    def put(self, resource: Resource) -> tuple[Resource, bool]:
        """Stores this as the newest version of `Type/id`; tells whether it is new."""
        type, id = resource["resourceType"], resource["id"]
        with self._lock:
            before = self._versions.get(type, {}).get(id)
            number = before.number + 1 if before else 1
            stored = resource | {"meta": self._meta(resource, number)}
            self._versions.setdefault(type, {})[id] = Version(number, stored)
        return stored, before is None or before.resource is None

    def delete(self, type: str, id: str) -> None:
        with self._lock:
            before = self._versions.get(type, {}).get(id)
            if before is not None and before.resource is not None:
                self._versions[type][id] = Version(before.number + 1, None)

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Undoes everything done inside when it ends in a refusal; others wait meanwhile."""
        with self._lock:
            before = {type: dict(versions) for type, versions in self._versions.items()}
            try:
                yield
            except BaseException:
                self._versions = before
                raise

    def load(self, bundle: Any) -> int:
        """Takes in every resource of a Bundle of any type; returns how many."""
        entries = [entry for entry in entries_of(bundle) if isinstance(entry.get("resource"), dict)]
        placed = [with_id(entry) for entry in entries]
        names = names_of_entries(placed)
        with self.all_or_nothing():
            for entry in placed:
                self.put(checked_resource(with_references_renamed(entry["resource"], names)))
        return len(placed)

    def _meta(self, resource: Resource, number: int) -> dict[str, Any]:
        meta = resource.get("meta")
        kept = meta if isinstance(meta, dict) else {}
        moment = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return kept | {"versionId": str(number), "lastUpdated": moment}


def checked_resource(value: Any, type: str | None = None) -> Resource:
    """This value as a resource that can be stored; refused when its type or id is not usable."""
    if not isinstance(value, dict):
        raise Refused(400, "structure", f"Expected a resource, got {_kind(value)}")
    its_type, its_id = value.get("resourceType"), value.get("id")
    if not isinstance(its_type, str) or not TYPE_NAME.fullmatch(its_type):
        raise Refused(400, "structure", f"resourceType: expected a FHIR type, got {_kind(its_type)}")
    if type is not None and its_type != type:
        raise Refused(400, "invariant", f"resourceType: expected {type}, got {its_type}")
    if not isinstance(its_id, str) or not FHIR_ID.fullmatch(its_id):
        raise Refused(400, "value", f"{its_type}.id: expected 1-64 letters, digits, '-' or '.'")
    return value


def entries_of(bundle: Any) -> list[dict[str, Any]]:
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise Refused(400, "structure", "Expected a Bundle")
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise Refused(400, "structure", f"Bundle.entry: expected a list, got {_kind(entries)}")
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise Refused(400, "structure", f"Bundle.entry[{number}]: expected an object, got {_kind(entry)}")
    return entries


def with_id(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry with an id for its resource: its own, or the one in its urn:uuid, or a new one."""
    resource = entry["resource"]
    if "id" in resource:
        return dict(entry)
    url = entry.get("fullUrl")
    from_url = url.removeprefix("urn:uuid:") if isinstance(url, str) and url.startswith("urn:uuid:") else ""
    return dict(entry) | {"resource": resource | {"id": from_url or new_id()}}


def new_id() -> str:
    return str(uuid.uuid4())


def _kind(value: Any) -> str:
    """What a value is, in words, without repeating more of it than a short text."""
    if isinstance(value, str):
        return f"{value[:40]!r}"
    names = {dict: "an object", list: "a list", bool: "a boolean", type(None): "nothing"}
    return names.get(type(value), "a number")
