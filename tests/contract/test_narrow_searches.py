"""Servers that refuse to list all of a type are asked in parts; a part that cannot be had is told, not passed over."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.fhir_server.narrow_searches import known_codes, ways_of
from fhir_fixtures.builders import condition, medication_request, observation, patient, searchset
from tests.contract.conftest import Serve, authorization, hook_request
from tests.contract.stub_server import Asked, Reply, StubServer

WANTED = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "fatal", "code": "required", "diagnostics": "Must have either code or category."}],
}
LOINC = "http://loinc.org"
SCORE = observation("phq")


class Fussy:
    """A server that wants a category or code for Observation; `refused` is what it answers to one part of it."""

    def __init__(self, refused: dict[str, int] | None = None, says: int = 400) -> None:
        self.refused = refused or {}
        self.says = says

    def __call__(self, asked: Asked) -> Reply:
        kind = asked.path.replace("/", "?").partition("?")[0]
        if kind == "Patient":
            return Reply(patient())
        if kind != "Observation":
            made = {"MedicationRequest": medication_request, "Condition": condition}.get(kind)
            return Reply(searchset(*([made()] if made else [])))
        for part, status in self.refused.items():
            if part in asked.path:
                return Reply(WANTED, status)
        if "category=" not in asked.path and "code=" not in asked.path:
            return Reply(WANTED, self.says)
        is_found = "category=survey" in asked.path or f"{known_codes()[0]}," in asked.path
        return Reply(searchset(*([SCORE] if is_found else [])))


def post(serve: Serve, fhir: StubServer, **options: Any) -> Any:
    body = hook_request(prefetch=None, fhirServer=fhir.base_url, fhirAuthorization=authorization("marker-77"))
    return serve(fhir_servers=(fhir.base_url,), **options).post(body)


def unread_of(reply: Any) -> list[tuple[str, str]]:
    answer = reply.json()["extension"]["org.trd-cds.assessment"]
    return [(one["reference"], one["problem"]) for one in answer.get("unread", [])]


def observations(fhir: StubServer) -> list[str]:
    return [path for path in fhir.paths if path.startswith("Observation")]


@pytest.mark.parametrize("status", [400, 422])
def test_it_is_asked_in_parts_and_from_then_on_at_once(serve: Serve, status: int) -> None:
    with StubServer(Fussy(says=status)) as fhir:
        reply = post(serve, fhir)
        assert reply.status_code == 200
        (way,) = ways_of("Observation")
        assert observations(fhir)[0] == "Observation?patient=p1&_count=100"
        parts = {path.split("&")[1] for path in observations(fhir)[1:] if path != "Observation?patient=p1"}
        assert parts == {*way.needed, *way.beside}
        fhir.asked.clear()
        assert post(serve, fhir).json()["extension"] == reply.json()["extension"]
        assert not {"Observation?patient=p1", "Observation?patient=p1&_count=100"} & set(fhir.paths)


def test_what_no_part_can_show_is_told(serve: Serve) -> None:
    with StubServer(Fussy()) as fhir:
        told = unread_of(post(serve, fhir))
    assert [reference for reference, _ in told] == ["Observation search"]
    assert "without a category known here" in told[0][1]


def test_it_is_found_once_however_many_parts_hold_it(serve: Serve) -> None:
    with StubServer(Fussy()) as fussy, StubServer(plain) as fhir:
        found, expected = (post(serve, one).json()["extension"] for one in (fussy, fhir))
    assert found["org.trd-cds.assessment"]["verdict"] == expected["org.trd-cds.assessment"]["verdict"]
    assert found["org.trd-cds.assessment"]["trials"] == expected["org.trd-cds.assessment"]["trials"]


def plain(asked: Asked) -> Reply:
    if asked.path.startswith("Observation"):
        return Reply(searchset(SCORE))
    return Fussy()(asked)


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_needed_part_that_is_refused_is_a_gap_that_bears_on_the_scores(serve: Serve, status: int) -> None:
    with StubServer(Fussy({"category=laboratory": status})) as fhir:
        reply = post(serve, fhir)
    assert reply.status_code == 200
    (gap,) = [problem for _, problem in unread_of(reply) if "category=laboratory" in problem]
    assert f"answered {status}" in gap
    assert reply.json()["extension"]["org.trd-cds.assessment"]["verdict"] != "met"


@pytest.mark.parametrize("part", ["category=imaging", "category=cognitive-status", "code="])
def test_a_part_that_a_server_need_not_know_may_be_refused(serve: Serve, part: str) -> None:
    with StubServer(Fussy({part: 400})) as fhir:
        reply = post(serve, fhir)
    assert reply.status_code == 200
    assert len(unread_of(reply)) == 1


@pytest.mark.parametrize("part", ["category=therapy", "code="])
def test_a_part_that_is_forbidden_is_a_gap_even_if_a_server_need_not_know_it(serve: Serve, part: str) -> None:
    with StubServer(Fussy({part: 403})) as fhir:
        reply = post(serve, fhir)
    assert reply.status_code == 200
    (gap,) = [problem for _, problem in unread_of(reply) if part in problem]
    assert "answered 403" in gap
    assert len(gap) < 200


@pytest.mark.parametrize("status", [400, 403, 422])
def test_a_part_whose_later_page_is_refused_is_not_passed_over(serve: Serve, status: int) -> None:
    def answer(asked: Asked) -> Reply:
        if "page=2" in asked.path:
            return Reply(WANTED, status)
        if "category=imaging" in asked.path:
            return Reply(searchset(SCORE, next_url=f"{fhir.base_url}/Observation?page=2&category=imaging"))
        return Fussy()(asked)

    with StubServer(answer) as fhir:
        reply = post(serve, fhir)
    assert reply.status_code == 412
    assert f"answered {status}" in reply.text


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_part_that_fails_leaves_no_verdict(serve: Serve, status: int) -> None:
    with StubServer(Fussy({"category=imaging": status})) as fhir:
        reply = post(serve, fhir)
    assert reply.status_code == 412
    assert "observations: " in reply.text


def test_a_server_that_refuses_every_part_is_told_by_its_first_refusal(serve: Serve) -> None:
    with StubServer(Fussy({"Observation": 400})) as fhir:
        reply = post(serve, fhir)
    assert reply.status_code == 412
    assert "answered 400 (required) to the Observation search" in reply.text
    assert "marker-77" not in reply.text


def test_a_way_that_the_server_no_longer_lets_pass_is_forgotten(serve: Serve) -> None:
    fussy = Fussy()
    with StubServer(fussy) as fhir:
        assert post(serve, fhir).status_code == 200
        fussy.refused = {"category=": 400}
        fhir.asked.clear()
        assert post(serve, fhir).status_code == 412
        assert "Observation?patient=p1&_count=100" in fhir.paths


def test_401_and_403_are_not_asked_in_another_way(serve: Serve) -> None:
    for status in (401, 403):
        with StubServer(Fussy({"Observation": status})) as fhir:
            assert post(serve, fhir).status_code == 412
            assert observations(fhir) == ["Observation?patient=p1&_count=100"]


# --- records too long to list -----------------------------------------------------------------------------


class Long:
    """A server with 1,200 results, of which only a search by code or by `survey` finds the score quickly."""

    def __init__(
        self,
        category: str | None = "laboratory",
        total: int | None = 1202,
        refuses: str = " ",
        ignores: str = " ",
        finds_nothing: str = " ",
    ) -> None:
        self.results = [observation(f"o{n}", code=(LOINC, "777-3"), **_filed(category)) for n in range(1199)]
        self.results.insert(50, observation("questionnaire", code=(LOINC, "69730-0"), **_filed("survey")))
        self.results.insert(
            51, observation("weight", code=(LOINC, known_codes()[-1]), **_filed("vital-signs"))
        )
        self.total = total
        self.refuses, self.ignores, self.finds_nothing = refuses, ignores, finds_nothing

    def __call__(self, asked: Asked) -> Reply:
        kind, _, query = asked.path.partition("?")
        if kind != "Observation":
            return Fussy()(asked)
        if self.refuses in asked.path:
            return Reply(WANTED, 400)
        if self.finds_nothing in query:
            return Reply(searchset())
        if ("category=" in query or "code=" in query) and self.ignores not in query:
            return Reply(searchset(*(one for one in self._all if _is_found(one, query))))
        first = int(query.partition("from=")[2] or 0)
        page = self._all[first : first + 100]
        link = f"http://{asked.headers['Host']}/fhir/Observation?from={first + 100}"
        more = {"link": [{"relation": "next", "url": link}]} if first + 100 <= 1201 else {}
        total = {} if self.total is None else {"total": self.total}
        return Reply({"resourceType": "Bundle", "type": "searchset", **total, **more} | _entries(page))

    @property
    def _all(self) -> list[Any]:
        return [*self.results, SCORE | _filed("survey")]


def _filed(category: str | None) -> dict[str, Any]:
    return {"category": [{"coding": [{"code": category}]}]} if category else {}


def _is_found(resource: Any, query: str) -> bool:
    name, _, wanted = query.split("&")[1].partition("=")
    concepts = resource.get(name, [])
    codings = [one["coding"][0]["code"] for one in (concepts if isinstance(concepts, list) else [concepts])]
    return not set(wanted.split(",")).isdisjoint(codings)


def _entries(resources: list[Any]) -> dict[str, Any]:
    return {"entry": [{"resource": resource} for resource in resources]}


@pytest.mark.parametrize(("total", "pages"), [(1202, 1), (None, 5)])
def test_of_a_long_record_what_is_read_is_asked_for(serve: Serve, total: int | None, pages: int) -> None:
    with StubServer(Long(total=total)) as fhir, StubServer(plain) as short:
        reply, expected = post(serve, fhir), post(serve, short)
        asked = observations(fhir)
    assert len([path for path in asked if "category=" not in path and "code=" not in path]) == pages
    assert not [path for path in asked if "laboratory" in path]
    assert _trials(reply) == _trials(expected)
    ((_, told),) = unread_of(reply)
    assert told.startswith("the record is long")


@pytest.mark.parametrize(
    "long",
    [
        Long(category=None),
        Long(category="psychiatry"),
        Long(refuses="code="),
        Long(ignores="category="),
        Long(ignores="code="),
        Long(finds_nothing="code="),
        Long(finds_nothing="survey"),
    ],
    ids=["none", "local", "refuses", "ignores category", "ignores code", "knows no list", "knows no survey"],
)
def test_what_no_part_would_find_is_read_to_the_end(serve: Serve, long: Long) -> None:
    with StubServer(long) as fhir, StubServer(plain) as short:
        reply, expected = post(serve, fhir), post(serve, short)
        assert "Observation?from=1200" in fhir.paths
    assert _trials(reply) == _trials(expected)
    assert unread_of(reply) == []


def _trials(reply: Any) -> Any:
    return reply.json()["extension"]["org.trd-cds.assessment"]["trials"]


# --- servers that want to choose the size of their pages ---------------------------------------------------


def uncounted(asked: Asked) -> Reply:
    return Reply(WANTED, 400) if "_count=" in asked.path else plain(asked)


def test_a_server_that_refuses_counts_is_asked_without(serve: Serve) -> None:
    with StubServer(uncounted) as fhir, StubServer(plain) as usual:
        reply, expected = post(serve, fhir), post(serve, usual)
        assert reply.json()["extension"] == expected.json()["extension"]
        fhir.asked.clear()
        assert post(serve, fhir).json()["extension"] == expected.json()["extension"]
        assert not [path for path in fhir.paths if "_count=" in path]
