"""Requests of order-select and order-sign, and what a client knows of the drafts in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import requests

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.draft_orders import Concern, DraftConcern
from cds_service.trd.model import Assessment
from cds_service.trd.record import History, Prescription
from fhir_fixtures.builders import medication_request
from tests.contract.conftest import RunningService, path_of, request_of

HOOKS = ("order-select", "order-sign")
Judge = Callable[..., tuple[DraftConcern, ...]]


def draft(
    id: str | None = "d1", medication: Any = "sertraline 50 mg tablet", **elements: Any
) -> dict[str, Any]:
    """An order as it stands on the screen, not signed yet; None leaves an element out."""
    standard: dict[str, Any] = {"status": "draft", "authoredOn": "2026-06-30"}
    order = medication_request(id or "none", medication, **standard | elements)
    return {name: value for name, value in order.items() if name != "id" or id}


def drafts_of(*resources: Any, **elements: Any) -> dict[str, Any]:
    """A Bundle as clients send it in a context: of no type, entries without `fullUrl`."""
    return {"resourceType": "Bundle", "entry": [{"resource": resource} for resource in resources], **elements}


def order_request(hook: str, *resources: Any, **elements: Any) -> dict[str, Any]:
    """The hook about these drafts, all of them selected."""
    ids = [resource.get("id") for resource in resources if isinstance(resource, dict)]
    selected = [f"{r.get('resourceType')}/{i}" for r, i in zip(resources, ids, strict=False) if i]
    return about_bundle(hook, drafts_of(*resources), selected, **elements)


def about_bundle(
    hook: str, bundle: Any, selected: Sequence[Any] = ("MedicationRequest/d1",), **elements: Any
) -> dict[str, Any]:
    context = {"draftOrders": bundle} | ({"selections": list(selected)} if hook == "order-select" else {})
    return request_of(hook, context | elements.pop("context", {}), **elements)


def ask(service: RunningService, body: dict[str, Any]) -> requests.Response:
    return service.post(body, path_of(body["hook"]))


class Judged:
    """Stands in for the rules: remembers what it was given, and has one concern of each kind about each draft."""

    def __init__(self, *concerns: Concern, answer: Answer = Answer.MET, **values: str) -> None:
        self.concerns, self.answer, self.values = concerns, answer, values
        self.drafts: tuple[Prescription, ...] = ()
        self.history = History("Patient/nobody")
        self.was_asked = False

    def __call__(
        self, drafts: Sequence[Prescription], history: History, assessment: Assessment, *_: Any
    ) -> tuple[DraftConcern, ...]:
        self.was_asked, self.drafts, self.history = True, tuple(drafts), history
        evidence = tuple(name for judged in assessment.trials for name in judged.trial.exposure.evidence)
        return tuple(
            DraftConcern(
                kind, each, Finding(kind.value, self.answer, f"says {kind.value}", evidence), self.values
            )
            for each in drafts
            for kind in self.concerns
        )

    @property
    def seen(self) -> list[tuple[str, str | None]]:
        """Reference and ingredient of each draft that was judged."""
        return [(each.reference, each.drug.ingredient if each.drug else None) for each in self.drafts]

    @property
    def doses(self) -> list[tuple[float | None, float | None]]:
        return [(each.segments[0].low_mg, each.segments[-1].high_mg) for each in self.drafts]
