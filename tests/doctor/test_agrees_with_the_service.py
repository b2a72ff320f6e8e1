"""Where the doctor says that the service can work, the service reads patients; where it cannot, it does not."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cds_service.doctor.rendering import as_json
from cds_service.doctor.results import Outcome, Report
from cds_service.errors import FhirServerError
from cds_service.fhir_source import fetch_collected
from fhir_fixtures import vignettes
from fhir_fixtures.server_profiles import EPIC_LIKE, PROFILES, US_CORE_MINIMUM, Profile, ProfiledServer
from tests.contract.stub_server import Asked, Reply, StubServer
from tests.doctor.servers import Change, Edit, changed_server, check, refusing, report_on, report_on_changed
from tests.doctor.test_reports import SCHEMA

PATIENTS = (1, 7, 19)


def report_on_profile(profile: Profile) -> Report:
    with ProfiledServer(profile) as server:
        for vignette in vignettes(PATIENTS):
            server.load(vignette.bundle)
        return report_on(server.base_url)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_servers_with_the_manners_of_real_ones_can_be_worked_with(profile: Profile) -> None:
    report = report_on_profile(profile)
    assert report.why_not == ()
    assert report.readiness.read == 3
    assert check(report, "count").outcome is Outcome.WORKS
    assert check(report, "next-links").outcome is Outcome.WORKS
    assert check(report, "post-search").outcome is Outcome.WORKS


@pytest.mark.parametrize(
    ("profile", "by"),
    [
        (EPIC_LIKE, {"observations": "category", "conditions": "category"}),
        (
            US_CORE_MINIMUM,
            {"medications": "intent", "observations": "category", "conditions": "category"},
        ),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_what_is_refused_as_a_whole_and_given_in_parts(profile: Profile, by: dict[str, str]) -> None:
    report = report_on_profile(profile)
    in_parts = {search.check.id for search in report.searches if search.in_parts}
    assert in_parts == set(by)
    for key, parameter in by.items():
        found = check(report, key)
        assert found.outcome is Outcome.LIMITED
        assert found.said.startswith(f"answered 400 (required); by {parameter}: ")
        assert "fhirAuthorization" in found.to_do
        assert key not in report.prefetch  # the EHR's prefetch would be refused too
    assert "without a category known here" in check(report, "conditions").to_do
    rows = {row["id"]: row for row in as_json(report)["searches"]}
    assert {key for key, row in rows.items() if row.get("inParts")} == set(by)
    assert {f"patient/{kind}.rs" for kind in ("MedicationRequest", "Observation", "Condition")} <= set(
        report.minimum_scopes
    )


def test_a_part_that_fails_is_told() -> None:
    def change(asked: Asked) -> Reply | None:
        if asked.path.startswith("Condition?patient=") and "category" not in asked.path:
            return Reply({}, 422)
        return refusing("Condition?", 500)(asked)

    report = report_on_changed(change)
    assert check(report, "conditions").outcome is Outcome.FAILS and not report.can_work


# --- odd servers ------------------------------------------------------------------------------------------

OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "processing"}]}


def changing(resource_type: str, **members: Any) -> Edit:
    def edit(asked: Asked, content: Any) -> Any:
        is_asked = asked.path.startswith(f"{resource_type}?patient=") and content.get("type") == "searchset"
        return content | members if is_asked else content

    return edit


def sometimes(every: int, answer: Callable[[Asked], Reply]) -> Change:
    numbers = itertools.count(1)
    return lambda asked: answer(asked) if next(numbers) % every == 0 else None


def broken_off(_: Asked) -> Reply:
    return Reply(b"", 503)


def too_large(_: Asked) -> Reply:
    return Reply(b'{"resourceType":"CapabilityStatement","x":"' + b"a" * 67_200_000 + b'"}')


def slow(_: Asked) -> Reply:
    time.sleep(4)
    return Reply({})


def only_for(start: str, answer: Callable[[Asked], Reply]) -> Change:
    return lambda asked: answer(asked) if asked.path.startswith(start) else None


HTML = Reply(b"<html>", 200, {"Content-Type": "text/html"})
ODD: dict[str, tuple[Change | None, Edit | None, bool]] = {
    "metadata is a page": (only_for("metadata", lambda _: HTML), None, True),
    "metadata is slow": (only_for("metadata", slow), None, True),
    "metadata is too large": (only_for("metadata", too_large), None, True),
    "refuses every fourth call for a moment": (
        sometimes(4, lambda _: Reply({}, 429, {"Retry-After": "0"})),
        None,
        True,
    ),
    "has bad moments": (sometimes(5, broken_off), None, True),
    "an optional search fails": (refusing("Procedure", 500), None, True),
    "an optional search is slow": (only_for("Procedure?", slow), None, True),
    "a required search is slow": (only_for("Condition?", slow), None, False),
    "a required search fails": (refusing("Observation", 500), None, False),
    "a Bundle that is no searchset": (None, changing("Condition", type="batch-response"), False),
    "a searchset that is called a collection": (None, changing("Condition", type="collection"), True),
    "a total that is not reached": (None, changing("Condition", total=99), False),
    "other resources": (
        None,
        changing("Condition", entry=[{"resource": {"resourceType": "Basic", "id": "b"}}]),
        False,
    ),
    "an error with status 200": (only_for("Condition?", lambda _: Reply(OUTCOME)), None, False),
    "_count is refused": (lambda asked: Reply({}, 400) if "_count" in asked.path else None, None, True),
}


@pytest.mark.parametrize(("change", "edit", "can_work"), ODD.values(), ids=ODD.keys())
def test_odd_servers(change: Change | None, edit: Edit | None, can_work: bool) -> None:
    with changed_server(change or (lambda _: None), edit, only=(1,)) as server:
        assert can_read(server.base_url) is can_work
        report = report_on(server.base_url, "trd-v01", seconds=3.0)
    assert report.can_work is can_work, report.why_not
    Draft202012Validator(SCHEMA).validate(as_json(report))


def can_read(url: str) -> bool:
    try:
        fetch_collected(url, "trd-v01", seconds=3.0)
    except FhirServerError:
        return False
    return True


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (changing("Condition", type="batch-response"), "answered with a Bundle that is no searchset"),
        (changing("Condition", total=99), "entries of 99, and no link to the others"),
        (
            changing("Condition", entry=[{"resource": {"resourceType": "Basic", "id": "b"}}]),
            "answered with other resources",
        ),
    ],
)
def test_what_the_service_takes_for_no_answer_is_a_search_that_fails(edit: Edit, said: str) -> None:
    found = check(report_on_changed(edit=edit), "conditions")
    assert found.outcome is Outcome.FAILS and said in found.said


def test_how_often_was_asked_is_told() -> None:
    numbers = itertools.count()

    def change(asked: Asked) -> Reply | None:
        is_second_chart = asked.path.startswith("Condition?patient=") and next(numbers) == 1
        return Reply({}, 429, {"Retry-After": "0"}) if is_second_chart else None

    report = report_on_changed(change, only=(1,))
    found = check(report, "conditions")
    assert found.outcome is Outcome.LIMITED and found.said.endswith("asked 2 times")
    assert "limits the calls" in found.to_do and report.can_work


def test_a_wait_that_is_too_long_is_not_waited_for() -> None:
    change = only_for("Observation?", lambda _: Reply({}, 429, {"Retry-After": "3600"}))
    begun = time.monotonic()
    report = report_on_changed(change, only=(1,), seconds=5.0)
    assert time.monotonic() - begun < 60
    assert "Observation search: answered 429" in report.why_not
    assert "twelve questions at once" in check(report, "observations").to_do


def test_an_answer_that_may_hide_records_is_told_apart_from_there_are_none() -> None:
    hidden = check(report_on_changed(refusing("Procedure", 500), only=(1,)), "procedures")
    none = check(report_on_changed(refusing("Procedure", 404), only=(1,)), "procedures")
    assert "may hide records" in hidden.to_do and "go without" in none.to_do


# --- time --------------------------------------------------------------------------------------------------


def test_the_service_has_less_time_than_the_doctor() -> None:
    """A search that is answered, and too late for the service."""

    def change(asked: Asked) -> Reply | None:
        if asked.path.startswith("Condition?patient="):
            time.sleep(1.2)
        return None

    report = report_on_changed(change, only=(1,), seconds=10.0, fetch_seconds=1.0)
    assert report.why_not == ("of no patient could all be read that the rules need",)
    assert check(report, "conditions").said.endswith("slowly")
    assert "The service has 1 s for all of a chart" in check(report, "conditions").to_do
    enough = report_on_changed(change, only=(1,), seconds=10.0, fetch_seconds=10.0)
    assert enough.can_work and check(enough, "chart").outcome is Outcome.WORKS
    scarce = report_on_changed(change, only=(1,), seconds=10.0, fetch_seconds=2.2)
    assert scarce.can_work and check(scarce, "chart").outcome is Outcome.LIMITED


def test_a_server_that_stalls_at_everything_is_done_with_in_time() -> None:
    """Below 20 questions of `seconds` each, and a chart for each patient."""

    def answer(asked: Asked) -> Reply:
        if asked.path != "metadata":
            time.sleep(2)
        return Reply({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"})

    begun = time.monotonic()
    with StubServer(answer) as server:
        report = report_on(server.base_url, "p1", "p2", "p3", "p4", seconds=0.5)
    assert time.monotonic() - begun < 40
    assert not report.can_work and report.readiness.asked == 3
