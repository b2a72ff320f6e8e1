"""What is dispensed, stated or administered beside what is ordered: patients read through the same door as files."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from cds_service.fhir_reading import read_history
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.respond import assess_history
from cds_service.tables.definitions import DEFAULT_ID, load_definitions
from cds_service.trd.answers import Answer
from cds_service.trd.model import Assessment, Trial
from cds_service.trd.record import History
from fhir_fixtures import builders
from fhir_fixtures.builders import RXNORM, Resource
from tests.conftest import ON

SERTRALINE_50 = (RXNORM, "312941", "sertraline 50 MG Oral Tablet")
SUBJECT = {"reference": "Patient/p1"}


def dispense(
    id: str, day: str | None, days: int | None = 30, tablets: float | None = 30, **more: Any
) -> Resource:
    resource: Resource = {
        "resourceType": "MedicationDispense",
        "id": id,
        "status": "completed",
        "subject": SUBJECT,
        "medicationCodeableConcept": builders.concept(SERTRALINE_50),
        "whenHandedOver": day,
        "daysSupply": days and builders.quantity(days, "days", "d"),
        "quantity": tablets and builders.quantity(tablets, "tablet"),
    }
    return {key: value for key, value in (resource | more).items() if value is not None}


def statement(id: str = "s1", **more: Any) -> Resource:
    resource: Resource = {
        "resourceType": "MedicationStatement",
        "id": id,
        "status": "completed",
        "subject": SUBJECT,
        "medicationCodeableConcept": {"text": "sertraline"},
        "effectivePeriod": {"start": "2025-09-01", "end": "2025-11-24"},
        "dosage": [{"text": "100 mg daily"}],
    }
    return {key: value for key, value in (resource | more).items() if value is not None}


def administration(id: str, day: str, mg: float = 50, **more: Any) -> Resource:
    return {
        "resourceType": "MedicationAdministration",
        "id": id,
        "status": "completed",
        "subject": SUBJECT,
        "medicationCodeableConcept": {"text": "sertraline"},
        "effectiveDateTime": day,
        "dosage": {"dose": builders.quantity(mg, "mg", "mg")},
    } | more


def order(id: str = "rx1", **more: Any) -> Resource:
    return builders.medication_request(
        id, builders.concept(SERTRALINE_50), **{"last_day": "2025-11-24"} | more
    )


def history(*resources: Resource) -> History:
    entries = [Entry(resource, None, f"entry[{at}]") for at, resource in enumerate(resources)]
    return read_history(Collected("p1", tuple(entries)), ON)


def assessment(*resources: Resource) -> Assessment:
    about = (builders.patient(), builders.condition())
    return assess_history(history(*about, *resources), load_definitions()[DEFAULT_ID], ON)


def trial(*resources: Resource) -> Trial:
    (judged,) = assessment(*resources).trials
    return judged.trial


def days(*resources: Resource) -> list[str]:
    """`reference first..last mg`, with `?` for days that are not certain."""
    return [
        f"{told.reference} {s.first_day}..{s.last_day} {'-' if s.low_mg is None else f'{s.low_mg:g}'}"
        + ("" if s.low_mg == s.high_mg else f"-{s.high_mg:g}")
        + ("" if s.days_certain else "?")
        for told in history(*resources).prescriptions
        for s in told.segments
    ]


def refills(first: str, count: int, every: int = 30, **more: Any) -> list[Resource]:
    begin = date.fromisoformat(first)
    return [dispense(f"d{n}", str(begin + timedelta(n * every)), **more) for n in range(count)]


# --- dispensings alone ---------------------------------------------------------------------------------


def test_three_months_of_dispensings_without_an_order_are_a_trial() -> None:
    found = trial(*refills("2025-09-01", 3))
    assert (str(found.first_day), str(found.last_day), found.adequate_days) == (
        "2025-09-01",
        "2025-11-29",
        90,
    )
    assert (found.max_mg, found.dose.answer, found.adherence.answer) == (50, Answer.MET, Answer.MET)
    assert found.exposure.evidence == (
        "MedicationDispense/d0",
        "MedicationDispense/d1",
        "MedicationDispense/d2",
    )


@pytest.mark.parametrize(
    ("dispensing", "mg"),
    [
        ({}, 50.0),
        ({"tablets": 60}, 100.0),
        ({"tablets": 15}, 25.0),
        ({"tablets": None}, None),
        ({"quantity": {"value": 60}}, 100.0),
        ({"quantity": {"value": 1, "unit": "bottle"}}, None),
        ({"dosageInstruction": [{"text": "2 tablets daily"}]}, 100.0),
        ({"tablets": None, "dosageInstruction": [{"text": "2 tablets daily"}]}, 100.0),
        ({"dosageInstruction": [{"text": "as directed"}]}, None),
    ],
)
def test_the_dose_of_a_dispensing(dispensing: dict[str, Any], mg: float | None) -> None:
    (told,) = history(dispense("d1", "2025-09-01", **dispensing)).prescriptions
    assert (told.segments[0].low_mg, str(told.segments[0].last_day)) == (mg, "2025-09-30")


def test_an_early_refill_begins_when_the_last_one_ran_out() -> None:
    assert days(dispense("d1", "2025-09-01"), dispense("d2", "2025-09-25")) == [
        "MedicationDispense/d1 2025-09-01..2025-09-30 50",
        "MedicationDispense/d2 2025-10-01..2025-10-30 50",
    ]


@pytest.mark.parametrize(
    ("status", "handed_over", "counts"),
    [
        ("completed", "2025-09-01", True),
        ("in-progress", "2025-09-01", True),
        ("in-progress", None, False),
        ("preparation", None, False),
        ("cancelled", "2025-09-01", False),
        ("declined", None, False),
        ("entered-in-error", "2025-09-01", False),
    ],
)
def test_only_what_was_handed_over_counts(status: str, handed_over: str | None, counts: bool) -> None:
    found = history(dispense("d1", handed_over, status=status))
    assert (len(found.prescriptions), len(found.set_aside)) == (int(counts), int(not counts))


# --- beside an order -----------------------------------------------------------------------------------


def test_an_order_without_dosage_takes_the_dose_that_was_dispensed() -> None:
    told = days(order(dosage=None), *refills("2025-09-01", 3, tablets=60))
    assert told[0] == "MedicationRequest/rx1 2025-09-01..2025-11-24 100"


def test_dispensings_of_an_order_are_no_second_use() -> None:
    found = trial(order(), *refills("2025-09-01", 3))
    assert (found.adequate_days, found.max_mg, found.adherence.answer) == (85, 50, Answer.MET)


def test_days_that_were_ordered_but_not_dispensed_are_not_certain() -> None:
    assert days(order(), *refills("2025-09-03", 1)) == [
        "MedicationRequest/rx1 2025-09-01..2025-09-02 50?",
        "MedicationRequest/rx1 2025-09-03..2025-10-02 50",
        "MedicationRequest/rx1 2025-10-03..2025-11-24 50?",
    ]


def test_a_dispensing_of_unknown_length_contradicts_nothing() -> None:
    told = days(order(), dispense("d1", "2025-09-03", days=None, tablets=None))
    assert [day for day in told if "Request" in day] == ["MedicationRequest/rx1 2025-09-01..2025-11-24 50"]


def test_an_order_that_ended_on_no_recorded_day_is_certain_where_it_was_dispensed() -> None:
    told = days(order(last_day=None, status="stopped"), *refills("2025-09-01", 2))
    assert told[0] == "MedicationRequest/rx1 2025-09-01..2025-10-30 50"
    assert told[1].endswith("?")


@pytest.mark.parametrize(
    ("fills", "every", "covered", "adherence"),
    [
        (3, 30, "85 of 85", "met"),
        (3, 37, "71 of 85", "met"),
        (2, 60, "55 of 85", "not-met"),
        (1, 30, "30 of 85", "not-met"),
    ],
)
def test_adherence_is_the_share_of_days_covered(fills: int, every: int, covered: str, adherence: str) -> None:
    """Of the 85 days of an order that names its last day: what is left over then does not count."""
    found = assessment(order(), *refills("2025-09-01", fills, every)).trials[0].trial
    assert (found.adherence.answer.value, f"cover {covered} days" in found.adherence.text) == (
        adherence,
        True,
    )


def test_a_trial_that_was_not_taken_as_prescribed_is_no_failed_trial() -> None:
    scores = [
        builders.observation("b", value=20, day="2025-09-01"),
        builders.observation("l", value=20, day="2025-11-24"),
    ]
    (as_ordered,) = assessment(order(), *scores).trials
    (not_taken,) = assessment(order(), *refills("2025-09-01", 1), *scores).trials
    assert (as_ordered.failed.answer, not_taken.failed.answer) == (Answer.MET, Answer.NOT_MET)
    assert "dispensings cover 30 of 85 days" in not_taken.failed.text


def test_a_pack_of_28_does_not_contradict_30_days_on_one_tablet() -> None:
    assert days(order(last_day="2025-09-30"), dispense("d1", "2025-09-01", tablets=28)) == [
        "MedicationRequest/rx1 2025-09-01..2025-09-30 50"
    ]


def test_half_of_what_was_ordered_contradicts_the_order() -> None:
    assert days(order(last_day="2025-09-30"), dispense("d1", "2025-09-01", tablets=15)) == [
        "MedicationRequest/rx1 2025-09-01..2025-09-30 25-50"
    ]


def test_a_dispensing_names_its_order() -> None:
    """What is dispensed under an order of one drug is no use of another, and needs no name of its own."""
    named = {"authorizingPrescription": [{"reference": "MedicationRequest/rx1"}]}
    nameless = dispense("d1", "2025-12-10", medicationCodeableConcept={"text": "see order"}, **named)
    found = history(order(), nameless)
    assert [told.drug and told.drug.ingredient for told in found.prescriptions] == [
        "sertraline",
        "sertraline",
    ]


@pytest.mark.parametrize("dosage", ["1 tablet daily as needed", "1 tablet daily for pain"])
def test_what_is_dispensed_takes_its_use_from_the_order(dosage: str) -> None:
    found = history(order(dosage=dosage, last_day="2025-09-20"), dispense("d1", "2025-09-01"))
    assert {told.treats_depression.answer for told in found.prescriptions} == {Answer.NOT_MET}


# --- statements ----------------------------------------------------------------------------------------


def test_a_drug_that_the_person_took_elsewhere_is_a_trial() -> None:
    found = trial(statement())
    assert (found.adequate_days, found.max_mg, found.exposure.evidence) == (
        85,
        100,
        ("MedicationStatement/s1",),
    )


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (
            {"effectivePeriod": {"start": "2025-09-01"}, "status": "active", "dateAsserted": "2025-10-15"},
            [
                "MedicationStatement/s1 2025-09-01..2025-10-15 100",
                "MedicationStatement/s1 2025-10-16..2026-06-30 100?",
            ],
        ),
        (
            {"effectivePeriod": None, "effectiveDateTime": "2025-10-15", "status": "active"},
            [
                "MedicationStatement/s1 1900-01-01..2025-10-14 100?",
                "MedicationStatement/s1 2025-10-15..2025-10-15 100",
                "MedicationStatement/s1 2025-10-16..2026-06-30 100?",
            ],
        ),
        ({"status": "intended"}, []),
        ({"status": "entered-in-error"}, []),
        ({"status": "not-taken"}, []),
        ({"status": None}, ["MedicationStatement/s1 2025-09-01..2025-11-24 100?"]),
    ],
)
def test_the_days_of_a_statement(more: dict[str, Any], expected: list[str]) -> None:
    assert days(statement(**more)) == expected


def test_a_statement_that_it_is_not_taken_leaves_the_days_of_the_order_open() -> None:
    told = days(order(), statement(status="not-taken", effectivePeriod={"start": "2025-10-01"}))
    assert told == [
        "MedicationRequest/rx1 2025-09-01..2025-09-30 50",
        "MedicationRequest/rx1 2025-10-01..2025-11-24 50?",
    ]


def test_a_statement_of_another_dose_leaves_the_dose_open() -> None:
    told = days(order(), statement(dosage=[{"text": "25 mg daily"}]))
    assert told == ["MedicationRequest/rx1 2025-09-01..2025-11-24 25-50"]


# --- administrations -----------------------------------------------------------------------------------


def test_doses_given_on_one_day_are_added_up() -> None:
    told = days(
        administration("a1", "2025-09-01T08:00:00Z"),
        administration("a2", "2025-09-01T20:00:00Z"),
        administration("a3", "2025-09-02T08:00:00Z"),
        administration("a4", "2025-09-03T08:00:00Z", status="not-done"),
    )
    assert told == [
        "MedicationAdministration/a1 2025-09-01..2025-09-01 100",
        "MedicationAdministration/a3 2025-09-02..2025-09-02 50",
    ]


def test_six_weeks_of_administrations_are_a_trial() -> None:
    begin = date(2025, 9, 1)
    given = [administration(f"a{n}", f"{begin + timedelta(n)}T08:00:00+02:00") for n in range(42)]
    assert (trial(*given).adequate_days, trial(*given[1:]).duration.answer) == (42, Answer.NOT_MET)


# --- whatever they hold --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["MedicationDispense", "MedicationStatement", "MedicationAdministration"])
@pytest.mark.parametrize("value", [7, "x", [None], {"value": "x"}, [{"text": 7}], {"start": 7}, {}])
def test_malformed_elements_never_raise_and_are_listed(kind: str, value: object) -> None:
    names = (
        "status",
        "dosage",
        "dosageInstruction",
        "daysSupply",
        "quantity",
        "whenHandedOver",
        "effectivePeriod",
    )
    for name in names:
        made = dispense("d1", "2025-09-01") | {"resourceType": kind, name: value}
        found = history(made)
        assert found.prescriptions or found.unread or found.set_aside


def test_records_of_other_drugs_are_of_no_interest() -> None:
    found = history(
        dispense("d1", "2025-09-01", medicationCodeableConcept={"text": "metformin 500 mg tablet"})
    )
    assert (found.prescriptions, found.unread, found.set_aside) == ((), (), ())


def test_a_dispensing_of_somebody_else_is_not_read() -> None:
    found = history(dispense("d1", "2025-09-01", subject={"reference": "Patient/p2"}))
    assert (found.prescriptions, len(found.unread)) == ((), 1)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (dispense("d1", "2025-09-01"), ("by whenHandedOver", "by the supply of 1 fill(s)")),
        (statement(), ("from 2025-09-01 by effectivePeriod", "to 2025-11-24 by effectivePeriod")),
        (administration("a1", "2025-09-01"), ("by the time it was given",)),
        (statement(effectivePeriod={"start": "x"}), ("days not certain",)),
    ],
)
def test_the_days_say_which_element_of_the_record_they_rest_on(
    record: Resource, words: tuple[str, ...]
) -> None:
    (told,) = history(record).prescriptions
    assert all(word in told.days_text for word in words), told.days_text


def test_problems_name_the_elements_of_the_record() -> None:
    for record, path in (
        (dispense("d1", "x"), "$.whenHandedOver"),
        (statement(effectivePeriod={"start": "x"}), "$.effectivePeriod.start"),
        (statement(dosage=[{"text": 7}]), "$.dosage[0].text"),
        (administration("a1", "x"), "$.effective"),
    ):
        (unread,) = history(record).unread
        assert path in unread.problem


# --- what is not known to be taken, or not to be taken ---------------------------------------------------


def test_a_day_on_the_ward_is_no_dispensing_to_count_by() -> None:
    found = assessment(order(), dispense("d1", "2020-01-01"), administration("a1", "2025-10-01"))
    (ordered,) = [t.trial for t in found.trials if "MedicationRequest/rx1" in t.trial.exposure.evidence]
    assert ordered.adherence.answer is Answer.UNKNOWN


@pytest.mark.parametrize(
    "unread",
    [
        {"subject": None},
        {"quantity": builders.quantity(-30, "tablet")},
        {"medicationCodeableConcept": None, "medicationReference": {"reference": "Medication/gone"}},
    ],
)
def test_nothing_follows_from_days_not_dispensed_where_a_dispensing_cannot_be_read(
    unread: dict[str, Any],
) -> None:
    lacking = [
        {key: value for key, value in (dispense("d9", "2025-10-01") | unread).items() if value is not None}
    ]
    fills = [dispense("d1", "2025-09-01"), dispense("d2", "2025-11-01")]
    known = assessment(order(), *fills)
    assert known.trials[0].trial.adherence.answer is Answer.NOT_MET
    of_sertraline = [
        t.trial for t in assessment(order(), *fills, *lacking).trials if t.trial.exposure.drug is not None
    ]
    assert [found.adherence.answer for found in of_sertraline] == [Answer.UNKNOWN]


@pytest.mark.parametrize(
    ("changes", "is_certain"),
    [
        ({}, True),
        ({"whenHandedOver": "2025-09"}, False),
        ({"daysSupply": "thirty"}, False),
        ({"whenHandedOver": None, "whenPrepared": "2025-09-01"}, True),
        ({"whenHandedOver": None, "whenPrepared": "2025-09-01", "status": "on-hold"}, False),
        ({"whenHandedOver": None, "whenPrepared": "2025-09-01", "status": "stopped"}, False),
        ({"whenHandedOver": None, "whenPrepared": "2025-09-01", "status": "unknown"}, False),
    ],
)
def test_the_days_of_a_supply_without_a_length_are_as_sure_as_its_record(
    changes: dict[str, Any], is_certain: bool
) -> None:
    fill = {k: v for k, v in (dispense("d1", "2025-09-01", days=None) | changes).items() if v is not None}
    in_force = order(dispenseRequest=None, first_day="2025-09-01")
    told = [p for p in history(in_force, fill).prescriptions if p.supplies or not is_certain]
    assert bool(told) and all(bool(p.supplies) is is_certain for p in told)


def test_what_was_prepared_and_stopped_may_not_have_been_taken() -> None:
    fill = dispense("d1", None, days=90, whenPrepared="2025-09-01", status="stopped")
    (told,) = history(fill).prescriptions
    assert not any(segment.days_certain for segment in told.segments)
    assert "from 2025-09-01 by whenPrepared" in told.days_text
    assert "status stopped, not known to be handed over" in told.days_text


@pytest.mark.parametrize(
    "changes",
    [{}, {"status": "not-taken"}, {"dosage": [{"text": "25 mg daily"}]}],
)
def test_a_statement_of_one_day_says_nothing_against_an_order_of_other_days(changes: dict[str, Any]) -> None:
    once = statement(effectivePeriod=None, effectiveDateTime="2015-01-01", **changes)
    assert [day for day in days(order(), once) if "rx1" in day] == days(order())


@pytest.mark.parametrize(
    ("changes", "certain_days"),
    [
        ({"dateAsserted": "2025-09-02"}, 2),
        ({"dateAsserted": "2025-09-02", "status": "active"}, 2),
        ({"dateAsserted": "garbage"}, 0),
        ({"dateAsserted": "2025-12-31"}, 85),
        ({}, 85),
    ],
)
def test_a_statement_is_sure_of_no_day_after_it_was_made(changes: dict[str, Any], certain_days: int) -> None:
    (told,) = history(statement(**changes)).prescriptions
    certain = [s for s in told.segments if s.days_certain]
    assert sum((s.last_day - s.first_day).days + 1 for s in certain) == certain_days


def test_doses_given_for_other_uses_are_not_added_up() -> None:
    pain = {"reasonCode": [{"text": "neuropathic pain"}]}
    given = [administration("a1", "2025-10-01", 25), administration("a2", "2025-10-01", 25, **pain)]
    assert {s.high_mg for told in history(*given).prescriptions for s in told.segments} == {25}
    assert sorted(days(*given)) == sorted(days(*reversed(given)))


# --- a statement that bridges two stretches of use --------------------------------------------------------

# 30 days ordered and never dispensed, 15 days of the next order before its first fill, then 90 of 90 dispensed.
BRIDGED = (
    order("rx1", first_day="2025-01-01", last_day="2025-01-30"),
    order("rx2", first_day="2025-01-31", last_day="2025-05-15"),
    dispense("d1", "2025-02-15", days=90, tablets=90),
    builders.observation("b", value=20, day="2025-02-10"),
    builders.observation("l", value=20, day="2025-05-15"),
)


def repeating(first: str, last: str, **more: Any) -> Resource:
    """A statement of what is ordered, on the same days."""
    return statement(effectivePeriod={"start": first, "end": last}, dosage=[{"text": "50 mg daily"}], **more)


def failed_by_sertraline(*resources: Resource) -> list[tuple[str, str, str]]:
    """Of each trial: whether it counts as failed, its adherence, and the words for that."""
    return [
        (judged.failed.answer.value, judged.trial.adherence.answer.value, judged.trial.adherence.text)
        for judged in assessment(*resources).trials
    ]


def test_what_was_dispensed_for_long_enough_counts_as_failed() -> None:
    assert failed_by_sertraline(*BRIDGED) == [
        ("met", "met", "dispensings cover 90 of 90 days (100 %), 80 % needed")
    ]


@pytest.mark.parametrize(
    ("first", "last", "covered"),
    [
        ("2025-01-31", "2025-05-15", "105 of 135 days (78 %)"),
        ("2025-02-06", "2025-05-15", "99 of 135 days (73 %)"),
        # 14 days are left between: still one stretch
        ("2025-02-14", "2025-05-15", "91 of 135 days (67 %)"),
    ],
)
def test_a_statement_that_repeats_an_order_leaves_open_what_had_failed(
    first: str, last: str, covered: str
) -> None:
    """It makes one stretch of two, of which too little is covered: that does not undo the 90 of 90 days."""
    ((failed, adherence, text),) = failed_by_sertraline(*BRIDGED, repeating(first, last))
    assert (failed, adherence) == ("unknown", "unknown")
    assert f"dispensings cover {covered}, 80 % needed; but some of these days are only stated" in text


def test_a_statement_of_days_that_nobody_ordered_bridges_no_better() -> None:
    """20 days between two orders: without the statement two trials, of which the first has failed."""
    orders = (
        order("rx1", first_day="2025-01-01", last_day="2025-03-01"),
        order("rx2", first_day="2025-03-22", last_day="2025-05-10"),
    )
    records = (
        *orders,
        dispense("d1", "2025-01-01", days=60, tablets=60),
        builders.observation("b", value=20, day="2025-01-01"),
        builders.observation("l", value=20, day="2025-03-01"),
        builders.observation("m", value=20, day="2025-05-10"),
    )
    assert [failed for failed, *_ in failed_by_sertraline(*records)] == ["met", "met"]
    ((failed, adherence, text),) = failed_by_sertraline(*records, repeating("2025-03-02", "2025-03-21"))
    assert (failed, adherence) == ("unknown", "unknown")
    assert "dispensings cover 80 of 130 days" in text


def test_too_little_cover_with_and_without_the_statement_is_no_trial() -> None:
    """One month dispensed of an order of 105 days, and a statement of some days of it: not met either way."""
    records = (*BRIDGED[:2], dispense("d1", "2025-02-15"), *BRIDGED[3:])
    assert [answer for _, answer, _ in failed_by_sertraline(*records)] == ["not-met"]
    ((failed, adherence, text),) = failed_by_sertraline(*records, repeating("2025-02-01", "2025-02-20"))
    assert (failed, adherence) == ("not-met", "not-met")
    assert "only stated" not in text


def test_without_statements_nothing_else_is_kept_beside_the_records() -> None:
    assert all(not told.without_statements for told in history(*BRIDGED).prescriptions)
    told = history(*BRIDGED, repeating("2025-01-31", "2025-05-15")).prescriptions
    assert {len(each.without_statements) for each in told} == {2}
