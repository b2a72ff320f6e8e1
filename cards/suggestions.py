"""The draft FHIR resources that suggestions offer: ServiceRequests from the words of catalogue.json.

A draft proposes and never orders. The catalogue comes with this version, so fhir.resources checks each draft of it in
the tests and not in a running service, where it would be a tenth of the start and of the memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from cards.card import Action, ActionType, Suggestion
from cards.words import RequestWords, load_words

_FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_PROFESSIONAL = re.compile(r"(?:Practitioner|PractitionerRole)/[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True)
class Occasion:
    """For whom, when and why a request is drafted. `due` is the day it is wanted for, if not now.

    `requester` is who would ask for it, as `Type/id`; only a professional does.
    """

    patient: str
    encounter_id: str | None
    on: date
    reason: str
    due: date | None = None
    note: str = ""
    requester: str = ""


def suggestion_for(name: str, occasion: Occasion, new_uuid: Callable[[], UUID]) -> Suggestion:
    """The suggestion whose request is called `name` in catalogue.json."""
    words = load_words().requests[name]
    action = Action(ActionType.CREATE, words.description, draft_request(words, occasion))
    return Suggestion(words.label, new_uuid(), (action,), words.is_recommended, name)


def draft_request(words: RequestWords, occasion: Occasion) -> dict[str, Any]:
    request = {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "proposal",
        "category": [words.category],
        "priority": words.priority,
        "code": words.code,
        "subject": {"reference": occasion.patient},
        "authoredOn": occasion.on.isoformat(),
        "reasonCode": [{"text": occasion.reason}],
    }
    encounter = _encounter_reference(occasion.encounter_id or "")
    if encounter:
        request["encounter"] = {"reference": encounter}
    if _PROFESSIONAL.fullmatch(occasion.requester):
        request["requester"] = {"reference": occasion.requester}
    if occasion.due:
        request["occurrenceDateTime"] = occasion.due.isoformat()
    if occasion.note and words.takes_note:
        request["note"] = [{"text": occasion.note}]
    return request


def _encounter_reference(encounter_id: str) -> str:
    """Empty for what cannot be an id: a draft without encounter is valid, one with a wrong one is not."""
    bare_id = encounter_id.removeprefix("Encounter/")
    return f"Encounter/{bare_id}" if _FHIR_ID.fullmatch(bare_id) else ""
