"""What else stands in a chart and must change nothing: other drugs, other results, errors, other people."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.heldout.stories import Story

if TYPE_CHECKING:
    from tests.heldout.encodings import Pen

Resource = dict[str, Any]
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
LOINC = "http://loinc.org"
ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


def noise(story: Story, pen: Pen) -> list[Resource]:
    """Some of it, drawn at random."""
    scene = _Scene(story, pen)
    others = [write(scene) for write in KINDS if pen.chance(0.25)]
    return [resource for resources in others for resource in resources]


@dataclass(frozen=True)
class _Scene:
    story: Story
    pen: Pen
    owner: str = "Patient/pat-7"


def _blood_pressure(scene: _Scene) -> list[Resource]:
    return [_observation(scene, {"coding": [{"system": LOINC, "code": "8480-6"}]}, 128)]


def _anxiety_score(scene: _Scene) -> list[Resource]:
    return [_observation(scene, {"coding": [{"system": LOINC, "code": "70274-6"}]}, 18)]


def _score_in_error(scene: _Scene) -> list[Resource]:
    wrong = _observation(scene, {"coding": [{"system": LOINC, "code": "44261-6"}]}, 2)
    return [wrong | {"status": "entered-in-error"}]


def _statin(scene: _Scene) -> list[Resource]:
    return [_order(scene, {"text": "Atorvastatin 20 mg tablet"})]


def _thyroxine(scene: _Scene) -> list[Resource]:
    return [_order(scene, {"coding": [{"system": RXNORM, "code": "10582", "display": "levothyroxine"}]})]


def _lithium(scene: _Scene) -> list[Resource]:
    return [_order(scene, {"text": "Lithium carbonate 300 mg capsule"})]


def _quetiapine(scene: _Scene) -> list[Resource]:
    return [_order(scene, {"text": "quetiapine 50 mg tablet"})]


def _order_in_error(scene: _Scene) -> list[Resource]:
    return [_order(scene, {"text": "imipramine 100 mg tablet"}) | {"status": "entered-in-error"}]


def _not_to_be_given(scene: _Scene) -> list[Resource]:
    return [_order(scene, {"text": "phenelzine 60 mg"}) | {"doNotPerform": True}]


def _order_ahead(scene: _Scene) -> list[Resource]:
    ahead = (scene.story.on + timedelta(days=30)).isoformat()
    return [_order(scene, {"text": "trimipramine 150 mg capsule"}) | {"authoredOn": ahead}]


def _hypertension(scene: _Scene) -> list[Resource]:
    return [_condition(scene, {"coding": [{"system": ICD_10_CM, "code": "I10"}]})]


def _anxiety(scene: _Scene) -> list[Resource]:
    return [_condition(scene, {"coding": [{"system": ICD_10_CM, "code": "F41.1"}]})]


def _refuted_bipolar(scene: _Scene) -> list[Resource]:
    status = {
        "coding": [{"system": VERIFICATION, "code": scene.pen.random.choice(["refuted", "entered-in-error"])}]
    }
    refuted = _condition(scene, {"coding": [{"system": ICD_10_CM, "code": "F31.9"}]})
    return [refuted | {"verificationStatus": status}]


def _somebody_else(scene: _Scene) -> list[Resource]:
    other = replace(scene, owner="Patient/somebody-else")
    return [
        {"resourceType": "Patient", "id": "somebody-else", "birthDate": "2015-01-01"},
        _order(other, {"text": "duloxetine 60 mg capsule"}),
        _condition(other, {"coding": [{"system": ICD_10_CM, "code": "F31.9"}]}),
        _observation(other, {"coding": [{"system": LOINC, "code": "44261-6"}]}, 3),
    ]


def _visit(scene: _Scene) -> list[Resource]:
    return [
        {
            "resourceType": "Encounter",
            "id": scene.pen.new_id(),
            "status": "finished",
            "subject": _subject(scene),
        }
    ]


KINDS = (
    _blood_pressure, _anxiety_score, _score_in_error, _statin, _thyroxine, _lithium, _quetiapine,
    _order_in_error, _not_to_be_given, _order_ahead, _hypertension, _anxiety, _refuted_bipolar,
    _somebody_else, _visit,
)  # fmt: skip


def _subject(scene: _Scene) -> Resource:
    return {"reference": scene.owner}


def _order(scene: _Scene, drug: Resource) -> Resource:
    return {
        "resourceType": "MedicationRequest",
        "id": scene.pen.new_id(),
        "status": "active",
        "intent": "order",
        "subject": _subject(scene),
        "medicationCodeableConcept": drug,
        "authoredOn": (scene.story.on - timedelta(days=200)).isoformat(),
        "dosageInstruction": [{"text": "Take 1 tablet by mouth daily"}],
    }


def _observation(scene: _Scene, code: Resource, value: int) -> Resource:
    day = scene.story.on - timedelta(days=scene.pen.random.randrange(300))
    return {
        "resourceType": "Observation",
        "id": scene.pen.new_id(),
        "status": "final",
        "code": code,
        "subject": _subject(scene),
        "effectiveDateTime": day.isoformat(),
        "valueQuantity": {"value": value},
    }


def _condition(scene: _Scene, code: Resource) -> Resource:
    return {
        "resourceType": "Condition",
        "id": scene.pen.new_id(),
        "code": code,
        "subject": _subject(scene),
        "recordedDate": "2024-02-02",
    }
