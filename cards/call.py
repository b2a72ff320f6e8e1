"""The call of a hook that cards answer: from where it came, who looks, and the site's own SMART app."""

from __future__ import annotations

import json
from dataclasses import dataclass

from cards.card import Link, LinkType
from cards.words import load_words
from cds_service.trd.parameters import Definition


@dataclass(frozen=True)
class Call:
    """`user_reference` is who looks, as `Type/id`; `encounter_id` the encounter that drafts are made in.

    `smart_app_url` is the launch URL of the app that cards link to, empty for none.
    """

    hook: str = "patient-view"
    user_reference: str = ""
    encounter_id: str | None = None
    smart_app_url: str = ""


NO_CALL = Call()
"""Of a command on files: nobody looks, and no encounter is on."""


def app_links(call: Call, topic: str, definition: Definition) -> tuple[Link, ...]:
    """The link to the site's SMART app, if there is one, from the card with this topic.

    What the app is told is no secret and nothing of the patient, whom it learns from the launch itself.
    """
    if not call.smart_app_url:
        return ()
    told = {"card": topic, "definition": definition.id, "hook": call.hook}
    context = json.dumps(told, separators=(",", ":"))
    return (Link(load_words().app_label, call.smart_app_url, LinkType.SMART, context),)
