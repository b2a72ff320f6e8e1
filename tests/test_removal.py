"""Taking away what an answer does not rest on never turns it into its opposite.

Every single resource and every pair of resources of each fixture patient is taken away, under every definition at
once. Resources that a verdict names as evidence may change it; anything else may only make it less certain.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, combinations

import pytest

from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.respond import assess_collected
from cds_service.trd.model import Assessment, Judgement, Verdict
from fhir_fixtures import Vignette, vignettes
from tests.conftest import ON
from tests.test_vignettes import collected_from

OPPOSITES = {
    Verdict.MET: {Verdict.NOT_MET, Verdict.EXCLUDED},
    Verdict.NOT_MET: {Verdict.MET},
    Verdict.EXCLUDED: {Verdict.MET},
    Verdict.INDETERMINATE: set(),
}


@pytest.mark.parametrize("vignette", vignettes(), ids=lambda vignette: vignette.name)
def test_removing_what_is_no_evidence_never_turns_a_verdict(vignette: Vignette) -> None:
    collected = collected_from(vignette)
    before = _by_definition(collected)
    removable = [entry for entry in collected.entries if entry.resource["resourceType"] != "Patient"]
    turned = [
        (name, [_reference(entry) for entry in removed], was.verdict, now.verdict)
        for removed in chain(combinations(removable, 1), combinations(removable, 2))
        for name, was, now in _compared(before, _by_definition(_without(collected, removed)))
        if now.verdict in OPPOSITES[was.verdict] and _evidence(was).isdisjoint(map(_reference, removed))
    ]
    assert turned == []


def test_removing_evidence_does_change_something() -> None:
    """The test above would pass if nothing ever changed a verdict."""
    clean = next(vignette for vignette in vignettes() if vignette.id == 1)
    collected = collected_from(clean)
    orders = [e for e in collected.entries if e.resource["resourceType"] == "MedicationRequest"]
    without_one = assess_collected(_without(collected, orders[:1]), "default-configurable", ON)
    assert assess_collected(collected, "default-configurable", ON).verdict is Verdict.MET
    assert without_one.verdict is Verdict.NOT_MET


def _by_definition(collected: Collected) -> dict[str, Judgement]:
    assessment = assess_collected(collected, "default-configurable", ON)
    return {j.definition.id: j for j in (_own(assessment), *(v.judgement for v in assessment.other_views))}


def _own(assessment: Assessment) -> Judgement:
    return Judgement(
        assessment.definition,
        assessment.verdict,
        assessment.failed_at_least,
        assessment.failed_at_most,
        assessment.reasons,
        assessment.trials,
    )


def _compared(
    before: dict[str, Judgement], after: dict[str, Judgement]
) -> list[tuple[str, Judgement, Judgement]]:
    return [(name, before[name], after[name]) for name in before]


def _without(collected: Collected, removed: tuple[Entry, ...] | list[Entry]) -> Collected:
    return replace(
        collected, entries=tuple(e for e in collected.entries if not any(e is gone for gone in removed))
    )


def _evidence(judgement: Judgement) -> set[str]:
    """All that the verdict rests on: its criteria, and the trials behind the first of them."""
    named = {reference for reason in judgement.reasons for reference in reason.evidence}
    for judged in judgement.trials:
        named |= {*judged.failed.evidence, *judged.outcome.insufficient.evidence, *judged.in_scope.evidence}
        named |= set(judged.trial.exposure.evidence)
    return named


def _reference(entry: Entry) -> str:
    return f"{entry.resource['resourceType']}/{entry.resource['id']}"
