"""What FHIR servers put into well-formed answers, over a real socket: no verdict that the record does not bear.

Each change is made to a chart that meets the criteria. After it the verdict is the same, or `indeterminate` with the
reason named; what is of somebody else, or stands for nothing, is never used and never left out in silence.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cds_service.report import EXTENSION_KEY
from cds_service.settings import Settings
from fhir_fixtures import vignettes
from fhir_fixtures.builders import ICD_10_CM, concept, condition
from fhir_fixtures.loading import transaction_of
from tests.contract.conftest import hook_request, running
from tests.contract.stub_server import Asked, Reply, StubServer

Resource = dict[str, Any]
Change = Callable[["Chart"], None]

SUBSETTED = {"tag": [{"code": "SUBSETTED"}]}
REDACTED = {"security": [{"code": "REDACTED"}]}
QUETIAPINE = "quetiapine 100 MG Oral Tablet"


class Chart:
    """The resources of a fixture patient, which a test may change, and the server that holds them."""

    def __init__(self, number: int) -> None:
        (vignette,) = vignettes((number,))
        self.patient_id = vignette.patient_id
        self.resources: list[Resource] = [row["resource"] for row in transaction_of(vignette.bundle)["entry"]]

    def of(self, *types: str) -> list[Resource]:
        return [resource for resource in self.resources if resource["resourceType"] in types]

    @property
    def orders(self) -> list[Resource]:
        """Those of antidepressants: the fixtures number what is beside them 9."""
        return [order for order in self.of("MedicationRequest") if not order.get("id", "").endswith("9")]

    @property
    def patient(self) -> Resource:
        (patient,) = self.of("Patient")
        return patient

    def answer(self, asked: Asked) -> Reply:
        address = urlsplit(asked.path)
        type_, _, logical_id = address.path.partition("/")
        ids = parse_qs(address.query).get("_id", [logical_id or None])[0]
        found = [one for one in self.of(type_) if ids is None or one.get("id") in ids.split(",")]
        if logical_id:
            return Reply(found[0]) if found else Reply({"resourceType": "OperationOutcome"}, 404)
        entries = [_entry(resource) for resource in found]
        return Reply({"resourceType": "Bundle", "type": "searchset", "total": len(found), "entry": entries})


def _entry(resource: Resource) -> Resource:
    """As a server writes it; of a resource without an id the address tells the type only."""
    name = "/".join(filter(None, (resource["resourceType"], resource.get("id"))))
    return {"fullUrl": f"https://fhir.example.org/{name}", "resource": resource, "search": {"mode": "match"}}


def assess(chart: Chart) -> dict[str, Any]:
    with StubServer(chart.answer) as fhir:
        body = hook_request(
            context={"userId": "Practitioner/1", "patientId": chart.patient_id},
            prefetch={},
            fhirServer=fhir.base_url,
        )
        with running(Settings(fhir_servers=(fhir.base_url,))) as service:
            reply = service.post(body)
    assert reply.status_code == 200
    answer: dict[str, Any] = reply.json()["extension"][EXTENSION_KEY]
    return answer


def listed(answer: dict[str, Any]) -> str:
    return json.dumps([answer.get(name) for name in ("unread", "trials", "missing", "reasons")])


def verdicts(answer: dict[str, Any]) -> set[str]:
    return {answer["verdict"], *answer["otherDefinitions"].values()}


# --- whose it is ----------------------------------------------------------------------------------------


def _orders_about(reference: str) -> Change:
    def change(chart: Chart) -> None:
        for order in chart.orders:
            order["subject"] = {"reference": reference.format(chart.patient_id)}

    return change


def _merged(chart: Chart) -> None:
    """The survivor of a merge holds what was recorded."""
    chart.resources = [chart.patient]
    chart.patient.update(active=False, link=[{"other": {"reference": "Patient/p2"}, "type": "replaced-by"}])


# --- which drug -----------------------------------------------------------------------------------------


def _ingredients_behind(make: Callable[[Resource], Resource]) -> Change:
    """Orders of a Medication that has only an ingredient, which is a reference to a Substance."""

    def change(chart: Chart) -> None:
        for number, order in enumerate(chart.orders):
            substance = make(
                {"resourceType": "Substance", "id": "s", "code": order.pop("medicationCodeableConcept")}
            )
            item = {"itemReference": {"reference": "#s"}}
            chart.resources.append(
                _medication(number, contained=[substance], ingredient=[item]),
            )
            order["medicationReference"] = {"reference": f"Medication/med{number}"}

    return change


def _medication(number: int, **elements: Any) -> Resource:
    return {"resourceType": "Medication", "id": f"med{number}", **elements}


def _displays(display: str) -> Change:
    def change(chart: Chart) -> None:
        for order in chart.orders:
            order["medicationCodeableConcept"]["coding"][0]["display"] = display

    return change


def _another_concept_beside(chart: Chart) -> None:
    """The order's own words against the Medication that it refers to."""
    for number, order in enumerate(chart.orders):
        chart.resources.append(_medication(number, code=order["medicationCodeableConcept"]))
        order["medicationCodeableConcept"] = concept(QUETIAPINE)
        order["medicationReference"] = {"reference": f"Medication/med{number}"}


# --- which days -----------------------------------------------------------------------------------------


def _authored(day: str) -> Change:
    def change(chart: Chart) -> None:
        for order in chart.orders:
            order["authoredOn"] = day

    return change


def _many_repeats(chart: Chart) -> None:
    """What some systems write for "as often as needed"."""
    for order in chart.orders:
        order["dispenseRequest"]["numberOfRepeatsAllowed"] = 99


def _denied_fills(chart: Chart) -> None:
    """Short fills of long orders, each with a modifier that may deny it."""
    for order in chart.orders:
        fill = {
            "resourceType": "MedicationDispense",
            "id": f"{order['id']}-fill",
            "status": "completed",
            "subject": order["subject"],
            "authorizingPrescription": [{"reference": f"MedicationRequest/{order['id']}"}],
            "medicationCodeableConcept": order["medicationCodeableConcept"],
            "whenHandedOver": order["authoredOn"],
            "daysSupply": {"value": 30, "unit": "d"},
            "modifierExtension": [{"url": "http://example.org/returned", "valueBoolean": True}],
        }
        chart.resources.append(fill)


def _without_end(chart: Chart) -> None:
    for order in chart.orders:
        order["dosageInstruction"][0]["timing"]["repeat"]["boundsPeriod"]["end"] = "9999-12-31"


# --- what is left out -----------------------------------------------------------------------------------


def _left_out(meta: Resource, type_: str, *elements: str) -> Change:
    def change(chart: Chart) -> None:
        for resource in chart.of(type_):
            resource["meta"] = meta
            for name in elements:
                resource.pop(name, None)

    return change


def _no_ids(chart: Chart) -> None:
    for order in chart.of("MedicationRequest"):
        del order["id"]


NOT_SEARCHED = "it may not have searched by patient"
LEFT_OUT = "the server left elements out"
STANDS_FOR_NONE = "which stands for none"


@pytest.mark.parametrize(
    ("number", "change", "told"),
    [
        pytest.param(1, _orders_about("Group/g1"), NOT_SEARCHED, id="orders about a group"),
        pytest.param(
            1, _orders_about("Practitioner/{}"), NOT_SEARCHED, id="orders about the same id of another type"
        ),
        pytest.param(1, _orders_about("Patient/{}x"), NOT_SEARCHED, id="orders about another patient"),
        pytest.param(1, _orders_about("Patient/" + "x" * 65), NOT_SEARCHED, id="orders about an id too long"),
        pytest.param(1, _merged, "$.link: replaced-by", id="the patient was merged"),
        pytest.param(
            1,
            _ingredients_behind(lambda substance: substance | {"code": None}),
            "an ingredient of the Medication could not be recognised",
            id="Substances without a code",
        ),
        pytest.param(1, _displays(QUETIAPINE), "codes disagree", id="one display over two codes"),
        pytest.param(1, _another_concept_beside, "codes disagree", id="concept against Medication"),
        pytest.param(8, _authored("1900-01-01"), STANDS_FOR_NONE, id="ordered in 1900"),
        pytest.param(8, _authored("0001-01-01T00:00:00Z"), STANDS_FOR_NONE, id="ordered in the year 1"),
        pytest.param(
            8, _authored("2027-01-01"), "completed, and begins on 2027-01-01", id="done in the future"
        ),
        pytest.param(8, _many_repeats, "which leaves the last day open", id="completed, with 99 repeats"),
        pytest.param(1, _without_end, "it is not recorded on which days", id="completed, without an end"),
        pytest.param(
            1, _left_out(SUBSETTED, "MedicationRequest", "reasonCode"), LEFT_OUT, id="orders as a summary"
        ),
        pytest.param(1, _left_out(REDACTED, "MedicationRequest"), LEFT_OUT, id="orders redacted"),
        pytest.param(
            1,
            _left_out(SUBSETTED, "Condition", "verificationStatus"),
            "is recorded, but not as confirmed and current",
            id="diagnoses of which it is not told whether they were refuted",
        ),
        pytest.param(1, _no_ids, "which is newer cannot be told", id="orders without ids at one address"),
    ],
)
def test_what_cannot_be_relied_on_leaves_the_answer_open(number: int, change: Change, told: str) -> None:
    chart = Chart(number)
    change(chart)
    answer = assess(chart)
    assert answer["verdict"] == "indeterminate"
    assert verdicts(answer) <= {"indeterminate", "not-met"}
    assert told in listed(answer)


@pytest.mark.parametrize(
    ("number", "change"),
    [
        pytest.param(1, _orders_about("Patient/{}/_history/3"), id="a version of the patient"),
        pytest.param(1, _orders_about("Patient/trd%2Dv01"), id="the patient's id as in an address"),
        pytest.param(1, _ingredients_behind(lambda substance: substance), id="Substances with a code"),
        pytest.param(1, _left_out(SUBSETTED, "Condition"), id="diagnoses as a summary that is whole"),
        pytest.param(
            1, _left_out(SUBSETTED, "Observation"), id="results as a summary, which holds all we read"
        ),
    ],
)
def test_what_is_written_in_another_way_changes_nothing(number: int, change: Change) -> None:
    before = assess(Chart(number))
    chart = Chart(number)
    change(chart)
    after = assess(chart)
    assert before["verdict"] == after["verdict"] == "met"
    assert after["otherDefinitions"] == before["otherDefinitions"]
    assert after.get("unread", []) == []


def test_a_diagnosis_left_without_its_verification_excludes_nobody() -> None:
    chart = Chart(1)
    bipolar = condition("bp", (ICD_10_CM, "F31.9"), verification=None, meta=SUBSETTED)
    chart.resources.append(bipolar | {"subject": {"reference": f"Patient/{chart.patient_id}"}})
    assert "excluded" not in verdicts(assess(chart))


def test_nothing_follows_from_fills_that_a_modifier_may_deny() -> None:
    chart = Chart(1)
    _denied_fills(chart)
    answer = assess(chart)
    assert answer["verdict"] == "met"
    assert "$.modifierExtension: expected none" in listed(answer)
