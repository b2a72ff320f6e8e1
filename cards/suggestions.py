"""The draft FHIR resources that suggestions offer: ServiceRequests, built and checked by fhir.resources.

A draft proposes and never orders. What all drafts of one kind share is built once, since building a
checked resource takes longer than the rest of the card; patient, encounter and days are filled in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any
from uuid import UUID

from cards.card import Action, ActionType, Suggestion
from cards.words import RequestWords, load_words

_FHIR_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_PROFESSIONAL = re.compile(r"(?:Practitioner|PractitionerRole)/[A-Za-z0-9\-.]{1,64}")
_NO_ONE = "Patient/to-be-filled-in"


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
        **_template(words.name),
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


def build_templates() -> None:
    """Builds all drafts now, for a service that wants its first card to be as fast as the next."""
    for name in load_words().requests:
        _template(name)


@cache
def _template(name: str) -> dict[str, Any]:
    """What all drafts of one kind share, checked as a whole ServiceRequest."""
    # Imported when the first draft is due: most calls give no card, and the import takes 0.3 s.
    from fhir.resources.R4B.servicerequest import ServiceRequest

    words = load_words().requests[name]
    checked = ServiceRequest.model_validate(
        {
            "status": "draft",
            "intent": "proposal",
            "category": [words.category],
            "priority": words.priority,
            "code": words.code,
            "subject": {"reference": _NO_ONE},
        }
    )
    template: dict[str, Any] = json.loads(checked.model_dump_json(exclude_none=True))
    del template["subject"]
    return template


def _encounter_reference(encounter_id: str) -> str:
    """Empty for what cannot be an id: a draft without encounter is valid, one with a wrong one is not."""
    bare_id = encounter_id.removeprefix("Encounter/")
    return f"Encounter/{bare_id}" if _FHIR_ID.fullmatch(bare_id) else ""
