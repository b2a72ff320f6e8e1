"""The synthetic patients that calls are about: the fixture patients, under new ids and as of today.

The ids are new in each check, since a service may remember whom it showed a card and what came of it.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qsl

from cds_service.conform.hooks import USER, USER_TYPES, encounter_id
from cds_service.conform.templates import expand
from fhir_fixtures import Vignette, vignettes
from fhir_fixtures.refusals import Refused
from fhir_fixtures.search import find_matching
from fhir_fixtures.store import Store

Resource = dict[str, Any]

STORY_DAY = date(2026, 6, 30)  # "today" of the fixture patients
CHOSEN = (1, 2, 5, 7, 8, 10, 11, 15, 16, 17, 19, 22)  # stories that differ most in what a service could say
_CONTROL = ("_count", "_sort", "_include", "_total")
_DAY = re.compile(r'"(\d{4})-(\d{2})-(\d{2})(?=["T])')


@dataclass(frozen=True, eq=False)
class SyntheticPatient:
    """One made-up patient with all that is recorded of them."""

    id: str
    title: str
    bundle: Resource
    store: Store

    @property
    def is_self_contained(self) -> bool:
        """Whether no record points to one that no search by patient finds."""
        return not self.store.all_of("Medication")

    def prefetch(self, templates: Mapping[str, str], context: Mapping[str, Any]) -> dict[str, Any]:
        """What a client that satisfies all templates would send; keys that cannot be filled are left out."""
        queries = {key: expand(template, context) for key, template in templates.items()}
        return {key: self.answer(query) for key, query in queries.items() if query is not None}

    def answer(self, query: str) -> Resource | None:
        """What a FHIR server that knows only this patient would answer; None if there is nothing to read."""
        path, is_search, parameters = query.partition("?")
        if not is_search:
            return self._read(path)
        return searchset(*self._search(path, parse_qsl(parameters, keep_blank_values=True)))

    def _read(self, path: str) -> Resource | None:
        type, _, id = path.partition("/")
        try:
            return self.store.read(type, id)
        except Refused:
            return None

    def _search(self, type: str, query: list[tuple[str, str]]) -> list[Resource]:
        """Where the query has something that this small search does not know, all of the type."""
        everything = self.store.all_of(type)
        try:
            return find_matching(everything, type, [pair for pair in query if pair[0] not in _CONTROL])
        except Refused:
            return everything


def searchset(*resources: Resource, **elements: Any) -> Resource:
    entries = [{"resource": each, "search": {"mode": "match"}} for each in resources]
    found: Resource = {"resourceType": "Bundle", "type": "searchset", "total": len(resources)} | elements
    return found | ({"entry": entries} if entries else {})


def synthetic_patients(on: date) -> tuple[SyntheticPatient, ...]:
    """Patients whose stories end on the day `on`; every call of this makes new ids."""
    run = uuid.uuid4().hex[:8]
    return tuple(_patient(vignette, run, on - STORY_DAY) for vignette in vignettes(CHOSEN))


def _patient(vignette: Vignette, run: str, later: timedelta) -> SyntheticPatient:
    id = f"conform-{run}-{vignette.id:02}"
    text = json.dumps(vignette.bundle).replace(vignette.patient_id, id)
    bundle = json.loads(_DAY.sub(lambda match: f'"{_moved(match, later)}', text))
    bundle["entry"] += [{"resource": each} for each in _around(id)]
    store = Store()
    store.load(bundle)
    return SyntheticPatient(id, vignette.title, bundle, store)


def _moved(match: re.Match[str], later: timedelta) -> str:
    try:
        return (date(*map(int, match.groups())) + later).isoformat()
    except (ValueError, OverflowError):
        return match[0][1:]


def _around(patient_id: str) -> list[Resource]:
    """The users and the encounter that contexts name."""
    id = USER.partition("/")[2]
    users = [{"resourceType": type, "id": id} for type in USER_TYPES if type != "Patient"]
    encounter = {
        "resourceType": "Encounter",
        "id": encounter_id(patient_id),
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/{patient_id}"},
    }
    return [*users, encounter]
