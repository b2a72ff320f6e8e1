"""A terminology service names codes that the tables lack: what it is sent, what that changes, what goes wrong.

The codes that begin with 9999 are in no table, and no real ones.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cds_service.report import EXTENSION_KEY
from fhir_fixtures.builders import (
    ATC,
    RXNORM,
    SNOMED_CT,
    bundle,
    condition,
    medication,
    medication_request,
    patient,
    searchset,
)
from tests.contract.conftest import EMPTY_PREFETCH, RunningService, Serve, hook_request
from tests.contract.replies import assert_sound
from tests.contract.stub_server import Asked, Reply, StubServer

NDC = "http://hl7.org/fhir/sid/ndc"
SERTRALINE = (RXNORM, "99990001")
METFORMIN = (RXNORM, "99990002")
DEPRESSED = {"reasonCode": [{"text": "depression"}]}
NOT_FOUND = Reply({"resourceType": "OperationOutcome", "issue": [{"code": "not-found"}]}, 404)


def parameters(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(parts)}


def named(display: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return parameters(
        {"name": "name", "valueString": "RxNorm"}, {"name": "display", "valueString": display}, *parts
    )


def match(system: str, code: str, display: str = "", **relation: str) -> dict[str, Any]:
    relations = relation or {"equivalence": "equivalent"}
    parts = [{"name": name, "valueCode": value} for name, value in relations.items()]
    concept = {"name": "concept", "valueCoding": {"system": system, "code": code, "display": display}}
    return {"name": "match", "part": [*parts, concept]}


def knowing(**answers: Any) -> Callable[[Asked], Any]:
    """Answers by operation and code: `lookup_99990001`, `translate_99990001`; all else is not found."""

    def answer(asked: Asked) -> Any:
        path, query = asked.path.split("?")
        operation = {"CodeSystem/$lookup": "lookup", "ConceptMap/$translate": "translate"}.get(path, path)
        reply = answers.get(f"{operation}_{parse_qs(query)['code'][0]}", NOT_FOUND)
        return reply if isinstance(reply, Reply | bytes | None) else Reply(reply)

    return answer


KNOWS_SERTRALINE = knowing(lookup_99990001=named("sertraline 50 MG Oral Tablet"))


@pytest.fixture
def serve_with(serve: Serve, tmp_path: Path) -> Callable[..., RunningService]:
    """Starts the service with this terminology service, and a cache of its own."""

    def start(base_url: str, **settings: Any) -> RunningService:
        cache = {"terminology_cache": tmp_path / "cache" / "names.sqlite3"}
        return serve(terminology_server=base_url, **(cache | settings))

    return start


def assess(service: RunningService, *resources: dict[str, Any]) -> dict[str, Any]:
    """The assessment of a patient with these orders and Medications."""
    orders = [each for each in resources if each["resourceType"] == "MedicationRequest"]
    others = [each for each in resources if each["resourceType"] != "MedicationRequest"]
    prefetch = EMPTY_PREFETCH | {
        "medications": searchset(*orders, included=others),
        "conditions": searchset(condition()),
    }
    reply = service.post(hook_request(prefetch=prefetch))
    assert_sound(reply.status_code, reply.json())
    return dict(reply.json()["extension"][EXTENSION_KEY]) | {"cards": reply.json()["cards"]}


def order_of(code: Any, dosage: Any = "Take 2 tablets by mouth daily", **elements: Any) -> dict[str, Any]:
    return medication_request(medication=code, dosage=dosage, last_day="2025-12-01", **elements)


def drug_of(assessment: dict[str, Any]) -> str | None:
    (trial,) = assessment["trials"]
    return trial.get("ingredient")


# --- what its answers change ------------------------------------------------------------------------------


def test_without_a_service_the_drug_behind_an_unlisted_code_is_unknown(serve: Serve) -> None:
    assessment = assess(serve(), order_of(SERTRALINE))
    assert drug_of(assessment) is None
    assert "is not in our table" in str(assessment["unread"])


def test_an_unlisted_code_gets_its_name_strength_and_mark(serve_with: Any) -> None:
    with StubServer(KNOWS_SERTRALINE) as server:
        assessment = assess(serve_with(server.base_url), order_of(SERTRALINE))
    (trial,) = assessment["trials"]
    assert trial["ingredient"] == "sertraline"
    assert trial["doseMgPerDay"]["max"] == 100
    assert trial["orders"][0]["drugNamedBy"] == server.base_url
    assert trial["text"].endswith(f"; drug named by {server.base_url}")
    assert "unread" not in assessment


def test_the_card_says_which_drug_the_service_named(serve_with: Any) -> None:
    earlier = medication_request("rx2", "citalopram 40 mg", "1 daily", "2025-02-01", "2025-06-01")
    with StubServer(KNOWS_SERTRALINE) as server:
        assessment = assess(serve_with(server.base_url), order_of(SERTRALINE), earlier)
    detail = assessment["cards"][0]["detail"].replace("\N{WORD JOINER}", "")
    assert f"Drug named by a terminology service: sertraline by {server.base_url}." in detail


def test_what_the_record_and_the_tables_tell_is_neither_asked_nor_marked(serve_with: Any) -> None:
    both = {"coding": [{"system": SERTRALINE[0], "code": SERTRALINE[1]}], "text": "Zoloft 50 mg"}
    with StubServer(KNOWS_SERTRALINE) as server:
        service = serve_with(server.base_url)
        for known in ((RXNORM, "312941"), both, "sertraline 50 mg", (ATC, "A10BA02")):
            assert "drugNamedBy" not in str(assess(service, order_of(known)))
        assert server.asked == []


def test_a_name_that_contradicts_the_record_leaves_the_drug_unknown(serve_with: Any) -> None:
    pair = [{"system": RXNORM, "code": "99990001"}, {"system": RXNORM, "code": "99990003"}]
    answer = knowing(
        lookup_99990001=named("sertraline 50 MG Oral Tablet"), lookup_99990003=named("citalopram 20 MG")
    )
    with StubServer(answer) as server:
        assessment = assess(serve_with(server.base_url), order_of({"coding": pair}))
    assert drug_of(assessment) is None
    assert "codes disagree: " in str(assessment["unread"])


def test_an_order_that_only_the_service_tells_to_be_of_another_drug_is_listed(serve_with: Any) -> None:
    with StubServer(knowing(lookup_99990002=named("metformin 500 MG Oral Tablet"))) as server:
        assessment = assess(serve_with(server.base_url), order_of(METFORMIN))
    host = urlsplit(server.base_url).netloc
    assert "trials" not in assessment
    (aside,) = assessment["setAside"]
    assert (
        aside["problem"]
        == f"metformin 500 MG Oral Tablet (named by {host}): another drug by {server.base_url}"
    )


def test_a_name_that_we_do_not_know_shows_in_what_could_not_be_read(serve_with: Any) -> None:
    with StubServer(knowing(lookup_99990002=named("Serotil 500"))) as server:
        assessment = assess(serve_with(server.base_url), order_of(METFORMIN, **DEPRESSED))
    host = urlsplit(server.base_url).netloc
    assert f"Serotil 500 (named by {host}): ordered for depression" in assessment["unread"][0]["problem"]
    assert assessment["trials"][0]["orders"][0]["drugNamedBy"] == server.base_url


@pytest.mark.parametrize("place", ["referenced", "contained", "ingredient"])
def test_the_codes_of_medications_count_too(serve_with: Any, place: str) -> None:
    with StubServer(KNOWS_SERTRALINE) as server:
        service = serve_with(server.base_url)
        drug = medication("m1", code=SERTRALINE)
        if place == "ingredient":
            item = {"itemCodeableConcept": drug.pop("code")}
            drug |= {"code": {"text": "tablet"}, "ingredient": [item]}
        reference = {"medicationReference": {"reference": "#m1" if place == "contained" else "Medication/m1"}}
        inside = {"contained": [drug]} if place == "contained" else {}
        order = order_of(None, **reference, **inside)
        assessment = assess(service, order, *([] if place == "contained" else [drug]))
    assert drug_of(assessment) == "sertraline"
    assert assessment["trials"][0]["orders"][0]["drugNamedBy"] == server.base_url


# --- how a FHIR server says it ----------------------------------------------------------------------------


def ingredient(**value: Any) -> dict[str, Any]:
    return {
        "name": "property",
        "part": [{"name": "code", "valueCode": "has_ingredient"}, {"name": "value", **value}],
    }


LOOKUPS: dict[str, dict[str, Any]] = {
    "an ingredient": named("Serlain 50 mg", ingredient(valueString="sertraline")),
    "the coding of an ingredient": named("Serlain", ingredient(valueCoding={"display": "Sertraline"})),
    "a description": named(
        "Serlain",
        {
            "name": "property",
            "part": [
                {"name": "code", "valueCode": "127489000"},
                {"name": "value", "valueCode": "372594008"},
                {"name": "description", "valueString": "Sertraline"},
            ],
        },
    ),
}


@pytest.mark.parametrize("how", LOOKUPS)
def test_an_ingredient_among_the_properties_tells_the_drug(serve_with: Any, how: str) -> None:
    with StubServer(knowing(lookup_99990001=LOOKUPS[how])) as server:
        assert drug_of(assess(serve_with(server.base_url), order_of(SERTRALINE))) == "sertraline"
        assert len(server.asked) == 1


def test_the_ingredients_of_a_combination_stand_together(serve_with: Any) -> None:
    both = [ingredient(valueString="olanzapine"), ingredient(valueString="fluoxetine")]
    with StubServer(knowing(lookup_99990001=named("Symbilex capsule", *both))) as server:
        drug = drug_of(assess(serve_with(server.base_url), order_of(SERTRALINE)))
    assert drug == "olanzapine / fluoxetine"


LOCAL = ("https://pharmacy.example.org/items", "SER-50")


@pytest.mark.parametrize(
    ("lookup", "translations", "drug"),
    [
        (NOT_FOUND, [match(RXNORM, "312941")], "sertraline"),
        (named("house tablet"), [match(RXNORM, "36437", equivalence="wider")], "sertraline"),
        (NOT_FOUND, [match(RXNORM, "36437", relationship="source-is-narrower-than-target")], "sertraline"),
        (NOT_FOUND, [match(RXNORM, "99990001", "sertraline 50 MG Oral Tablet")], "sertraline"),
        (NOT_FOUND, [match(RXNORM, "312941", equivalence="narrower")], None),
        (NOT_FOUND, [match(RXNORM, "312941", equivalence="unmatched")], None),
        (NOT_FOUND, [match(RXNORM, "312941"), match(RXNORM, "200371")], None),
        (NOT_FOUND, [match("http://elsewhere.example.org", "312941")], None),
    ],
)
def test_a_local_code_is_translated_where_its_name_tells_nothing(
    serve_with: Any, lookup: Any, translations: list[dict[str, Any]], drug: str | None
) -> None:
    answers = {"lookup_SER-50": lookup, "translate_SER-50": parameters(*translations)}
    with StubServer(knowing(**answers)) as server:
        assessment = assess(serve_with(server.base_url), order_of(LOCAL, **DEPRESSED))
    assert drug_of(assessment) == drug


# --- how RxNav says it ------------------------------------------------------------------------------------


def history(name: str, *ingredients: str, status: str = "Active", **derived: Any) -> dict[str, Any]:
    concepts = [{"ingredientRxcui": "1", "ingredientName": each} for each in ingredients]
    return {
        "rxcuiStatusHistory": {
            "metaData": {"status": status},
            "attributes": {"rxcui": "99990001", "name": name, "tty": "SCD"},
            "derivedConcepts": {"ingredientConcept": concepts or None, **derived},
        }
    }


def ndc_periods(*rxcuis: str) -> dict[str, Any]:
    periods = [{"activeRxcui": "", "originalRxcui": rxcui, "startDate": "201001"} for rxcui in rxcuis]
    return {"ndcStatus": {"status": "OBSOLETE", "rxcui": "", "conceptName": "", "ndcHistory": periods}}


REMAPPED = {"remappedConcept": [{"remappedRxCui": "312941", "remappedActive": "YES"}]}
RXNAV: dict[str, tuple[tuple[str, str], dict[str, Any], str | None]] = {
    "a product": (
        SERTRALINE,
        {"rxcui/99990001/historystatus.json": history("sertraline 50 MG Oral Tablet")},
        "sertraline",
    ),
    "an old brand": (
        SERTRALINE,
        {"rxcui/99990001/historystatus.json": history("Serlain", "sertraline", status="Obsolete")},
        "sertraline",
    ),
    "a remapped code": (
        SERTRALINE,
        {"rxcui/99990001/historystatus.json": history("", status="Remapped", **REMAPPED)},
        "sertraline",
    ),
    "a code it does not know": (
        SERTRALINE,
        {"rxcui/99990001/historystatus.json": {"rxcuiStatusHistory": {"metaData": {"status": "Unknown"}}}},
        None,
    ),
    "a package": (
        (NDC, "99999-0001-01"),
        {"ndcstatus.json?ndc=99999-0001-01": ndc_periods("312941", "312941")},
        "sertraline",
    ),
    "a package of an unlisted product": (
        (NDC, "99999-0001-01"),
        {
            "ndcstatus.json?ndc=99999-0001-01": ndc_periods("99990001"),
            "rxcui/99990001/historystatus.json": history("sertraline 50 MG Oral Tablet"),
        },
        "sertraline",
    ),
    "a package code that was used twice": (
        (NDC, "99999-0001-01"),
        {"ndcstatus.json?ndc=99999-0001-01": ndc_periods("312941", "200371")},
        None,
    ),
    "SNOMED CT": (
        (SNOMED_CT, "999900011"),
        {"rxcui.json?idtype=SNOMEDCT&id=999900011": {"idGroup": {"rxnormId": ["312941"]}}},
        "sertraline",
    ),
    "a system that RxNav does not have": (LOCAL, {}, None),
}


@pytest.mark.parametrize("case", RXNAV)
def test_rxnav_is_asked_by_its_documented_paths(serve_with: Any, case: str) -> None:
    code, answers, drug = RXNAV[case]

    def answer(asked: Asked) -> Reply:
        return Reply(answers[asked.path], headers={"Content-Type": "application/json;charset=UTF-8"})

    with StubServer(answer) as server:
        service = serve_with(server.base_url, terminology_kind="rxnav")
        assessment = assess(service, order_of(code, **DEPRESSED))
        assert sorted(server.paths) == sorted(answers)
    assert drug_of(assessment) == drug


# --- what it is sent --------------------------------------------------------------------------------------


def test_nothing_but_code_and_system_is_sent(
    serve_with: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password hidden-password")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    order = order_of(
        {
            "coding": [
                {"system": "urn:oid:2.16.840.1.113883.6.88", "code": "99990002", "display": "hidden-display"}
            ],
            "text": "hidden-text",
        },
        id="hidden-id",
    )
    with StubServer(lambda _: NOT_FOUND) as server:
        assess(serve_with(server.base_url), order)
        rxnorm = "system=http%3A%2F%2Fwww.nlm.nih.gov%2Fresearch%2Fumls%2Frxnorm&code=99990002"
        assert server.paths == [
            f"CodeSystem/$lookup?{rxnorm}",
            f"ConceptMap/$translate?{rxnorm}&targetsystem=http%3A%2F%2Fwww.whocc.no%2Fatc",
        ]
        for asked in server.asked:
            allowed = {"host", "user-agent", "accept", "accept-encoding", "connection"}
            assert {name.lower() for name in asked.headers} == allowed
            assert asked.headers["User-Agent"] == "trd-cds"


@pytest.mark.parametrize(
    "coding",
    [
        {"system": RXNORM, "code": "Smith, John"},
        {"system": RXNORM, "code": "99990001 for Mrs Smith"},
        {"system": RXNORM, "code": "99990001/../../x"},
        {"system": "https://pharmacy.example.org/items", "code": "Smith"},
        {"system": "https://pharmacy.example.org/items?patient=7", "code": "A1"},
        {"system": "https://user:secret@pharmacy.example.org/items", "code": "A1"},
        {"system": "Mrs Smith", "code": "A1"},
        {"system": "https://pharmacy.example.org/items", "code": "1" * 33},
        {"code": "99990001"},
        {"system": RXNORM},
    ],
)
def test_what_is_no_code_never_leaves(serve_with: Any, coding: dict[str, str]) -> None:
    with StubServer(lambda _: NOT_FOUND) as server:
        assess(serve_with(server.base_url), order_of({"coding": [coding]}))
        assert server.asked == []


def test_codes_and_names_are_in_no_log(serve_with: Any, caplog: pytest.LogCaptureFixture) -> None:
    answer = knowing(
        lookup_99990001=named("sertraline 50 MG Oral Tablet"), lookup_99990002=b"99990002 broken"
    )
    with caplog.at_level(logging.DEBUG), StubServer(answer) as server:
        order = order_of(METFORMIN, id="rx2")
        assess(serve_with(server.base_url), order_of(SERTRALINE), order)
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("cds_service")]
    assert "terminology service asked for 2 codes, 1 failed" in ours
    assert not re.search(r"9999000|sertraline", "\n".join(ours))


# --- what goes wrong --------------------------------------------------------------------------------------

WRONG: dict[str, Any] = {
    "a server error": Reply(b"", 500),
    "refusal": Reply(b"", 403),
    "a redirect": Reply(b"", 302, {"Location": "/fhir/elsewhere"}),
    "a page": Reply(b"<html>", headers={"Content-Type": "text/html"}),
    "a name that says it is a page": Reply(
        named("sertraline 50 MG Oral Tablet"), headers={"Content-Type": "text/html"}
    ),
    "half an answer": Reply(b'{"resourceType": "Parameters", "parameter": [{"name": "disp'),
    "a list": Reply([]),
    "a string": Reply("sertraline"),
    "another resource": Reply(
        {"resourceType": "Bundle", "parameter": [{"name": "display", "valueString": "x"}]}
    ),
    "a display that is a number": Reply(parameters({"name": "display", "valueString": 5})),
    "very deep": Reply(b'{"resourceType":"Parameters","parameter":' + b"[" * 100_000),
    "not UTF-8": Reply(b'{"resourceType": "\xff"}'),
    "a name without end": Reply(named("sertraline " + "50 mg " * 1000)),
    "two MiB": Reply(named("sertraline 50 MG", {"name": "x", "valueString": "y" * (2 << 20)})),
    "compressed without end": Reply(b"\x1f\x8b", headers={"Content-Encoding": "gzip"}),
    "nothing": None,
}


@pytest.mark.parametrize("wrong", WRONG)
def test_whatever_it_answers_an_unusable_answer_leaves_the_drug_unknown(serve_with: Any, wrong: str) -> None:
    with StubServer(lambda _: WRONG[wrong]) as server:
        assessment = assess(serve_with(server.base_url), order_of(SERTRALINE))
        assert "fhir/elsewhere" not in str(server.paths)
    assert drug_of(assessment) is None
    assert "is not in our table" in str(assessment["unread"])


def trickle(asked: Asked) -> None:
    asked.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n{")
    for _ in range(40):
        time.sleep(0.1)
        try:
            asked.send(b" ")
        except OSError:
            return


@pytest.mark.parametrize("answer", [lambda _: time.sleep(4), trickle], ids=["silent", "trickling"])
def test_a_slow_service_costs_its_budget_once_and_not_again(serve_with: Any, answer: Any) -> None:
    with StubServer(answer) as server:
        service = serve_with(server.base_url, terminology_seconds=0.5)
        assert 0.4 < seconds_for(service, SERTRALINE) < 1.5
        assert seconds_for(service, SERTRALINE) < 0.3
        assert seconds_for(service, METFORMIN) < 0.3  # it rests, also for codes not asked yet
        assert len(server.asked) == 1


def seconds_for(service: RunningService, code: tuple[str, str]) -> float:
    started = time.monotonic()
    assert drug_of(assess(service, order_of(code))) is None
    return time.monotonic() - started


def test_many_codes_share_one_budget(serve_with: Any) -> None:
    def answer(_: Asked) -> Reply:
        time.sleep(0.2)
        return Reply(named("sertraline 50 MG Oral Tablet"))

    orders = [order_of((RXNORM, f"9999{n:04}"), id=f"rx{n}") for n in range(40)]
    with StubServer(answer) as server:
        service = serve_with(server.base_url, terminology_seconds=0.5)
        started = time.monotonic()
        assess(service, *orders)
        assert time.monotonic() - started < 1.5
        assert 8 <= len(server.asked) < 40


def test_the_service_starts_and_answers_when_nobody_listens(serve_with: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    service = serve_with(f"http://127.0.0.1:{port}/fhir")
    assert drug_of(assess(service, order_of(SERTRALINE))) is None
    assert drug_of(assess(service, order_of("sertraline 50 mg"))) == "sertraline"


# --- the command line -------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_option", [True, False])
def test_assess_asks_the_service_that_option_or_environment_name(tmp_path: Path, by_option: bool) -> None:
    file = tmp_path / "chart.json"
    file.write_text(json.dumps(bundle(patient(), order_of(SERTRALINE))))
    environment = os.environ | {"TRD_CDS_TERMINOLOGY_CACHE": str(tmp_path / "names.sqlite3")}
    with StubServer(KNOWS_SERTRALINE) as server:
        command = [sys.executable, "-m", "cds_service", "assess", str(file), "--on", "2026-06-30"]
        if by_option:
            command += ["--terminology-server", server.base_url]
        else:
            environment["TRD_CDS_TERMINOLOGY_SERVER"] = server.base_url
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    told = " ".join(done.stdout.split())
    assert "sertraline, 92 adequate days 2025-09-01 to 2025-12-01" in told
    assert f"drug named by {server.base_url}" in told


def test_assess_refuses_a_wrong_address_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "chart.json"
    file.write_text(json.dumps(bundle(patient())))
    command = [sys.executable, "-m", "cds_service", "assess", str(file), "--terminology-server", "tx"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "command line: terminology_server: expected plain http(s) base addresses" in done.stderr


# --- the cache --------------------------------------------------------------------------------------------


def test_an_answer_holds_when_the_service_is_gone_and_for_other_processes(
    serve_with: Any, tmp_path: Path
) -> None:
    with StubServer(KNOWS_SERTRALINE) as server:
        first = serve_with(server.base_url)
        assert drug_of(assess(first, order_of(SERTRALINE))) == "sertraline"
        assert len(server.asked) == 1
    assert drug_of(assess(first, order_of(SERTRALINE))) == "sertraline"
    assert drug_of(assess(serve_with(server.base_url), order_of(SERTRALINE))) == "sertraline"
    file = tmp_path / "cache" / "names.sqlite3"
    assert named_in_another_process(server.base_url, file) == "sertraline 50 MG Oral Tablet"
    assert named_in_another_process("http://127.0.0.1:1/fhir", file) == "nothing"


def named_in_another_process(server: str, file: Path) -> str:
    script = f"""
from pathlib import Path
from cds_service.fhir_address import read_address
from cds_service.terminology import TerminologyClient
client = TerminologyClient(read_address({server!r}), "fhir", 0.5, Path({str(file)!r}))
known = client.look_up([{SERTRALINE!r}])
print(known[{SERTRALINE!r}].display if known else "nothing")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_code_that_the_service_does_not_know_is_not_asked_again(serve_with: Any) -> None:
    with StubServer(lambda _: NOT_FOUND) as server:
        service = serve_with(server.base_url)
        assess(service, order_of(SERTRALINE))
        asked = len(server.asked)
        assess(service, order_of(SERTRALINE))
        assert len(server.asked) == asked


def test_many_requests_at_once_share_the_file(serve_with: Any) -> None:
    with StubServer(KNOWS_SERTRALINE) as server:
        services = [serve_with(server.base_url) for _ in range(3)]
        drugs: list[str | None] = []
        threads = [
            threading.Thread(target=lambda s=service: drugs.append(drug_of(assess(s, order_of(SERTRALINE)))))
            for service in services * 4
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert drugs == ["sertraline"] * 12


def garbage(folder: Path, _: str) -> Path:
    (folder / "garbage").write_bytes(b"not a database " * 1000)
    return folder / "garbage"


def a_folder(folder: Path, _: str) -> Path:
    return folder


def below_a_file(folder: Path, _: str) -> Path:
    return garbage(folder, "") / "names.sqlite3"


def where_nobody_may_write(_: Path, __: str) -> Path:
    return Path("/proc/none/names.sqlite3")


def another_table(folder: Path, _: str) -> Path:
    with sqlite3.connect(folder / "other.sqlite3") as connection:
        connection.execute("CREATE TABLE names (other)")
    return folder / "other.sqlite3"


def wrong_rows(folder: Path, server: str) -> Path:
    with sqlite3.connect(folder / "rows.sqlite3") as connection:
        connection.execute("CREATE TABLE names (server, system, code, until, answer)")
        for until, answer in (("for ever", b"null"), (time.time() + 99, b"\xff"), (time.time() + 99, 7)):
            row = (server, *SERTRALINE, until, answer)
            connection.execute("INSERT INTO names VALUES (?, ?, ?, ?, ?)", row)
    return folder / "rows.sqlite3"


@pytest.mark.parametrize(
    "make", [garbage, a_folder, below_a_file, where_nobody_may_write, another_table, wrong_rows]
)
def test_a_cache_that_cannot_be_used_is_done_without(
    serve_with: Any, tmp_path: Path, make: Callable[[Path, str], Path]
) -> None:
    with StubServer(KNOWS_SERTRALINE) as server:
        file = make(tmp_path, server.base_url)
        service = serve_with(server.base_url, terminology_cache=file)
        assert drug_of(assess(service, order_of(SERTRALINE))) == "sertraline"
        assert drug_of(assess(service, order_of(SERTRALINE))) == "sertraline"
        assert len(server.asked) == 1  # memory is left
    if make is garbage:
        assert file.read_bytes() == b"not a database " * 1000


def test_a_cache_that_another_process_holds_is_done_without(serve_with: Any, tmp_path: Path) -> None:
    file = tmp_path / "held.sqlite3"
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("CREATE TABLE other (x)")
    holder.execute("BEGIN EXCLUSIVE")
    with StubServer(KNOWS_SERTRALINE) as server:
        service = serve_with(server.base_url, terminology_cache=file)
        assert drug_of(assess(service, order_of(SERTRALINE))) == "sertraline"
    holder.close()
