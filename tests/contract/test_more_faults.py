"""Faults of HTTP and of FHIR search that hide records or hold threads, met with a patient whose verdict is known.

`CHART` is met. Each row breaks the search of orders in one way: the verdict has to be the true one, or none.
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest
import requests

from cds_service.fhir_server.retries import Turns, pause_before
from fhir_fixtures import vignettes
from tests.contract.conftest import Serve, authorization, hook_request
from tests.contract.stub_server import Asked, Reply, StubServer

CHART = vignettes((1,))[0]
TOKEN = "marker-token-7f21"
MARK = "words-of-the-server"
SECONDS = 1.0
KIND = "MedicationRequest"
NAME = "org.trd-cds.assessment"

Change = Callable[[dict[str, Any]], object]


def of_type(kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in CHART.bundle["entry"] if entry["resource"]["resourceType"] == kind]


def found(kind: str, *, first: int | None = None, **elements: Any) -> dict[str, Any]:
    """The searchset of a type, or of its first records, as a server writes it."""
    entries = [{"resource": one, "search": {"mode": "match"}} for one in of_type(kind)[:first]]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries} | elements


def healthy(asked: Asked) -> Reply:
    kind, _, _ = asked.path.replace("/", "?").partition("?")
    return Reply(of_type("Patient")[0] if kind == "Patient" else found(kind))


def outcome(code: str, severity: str) -> dict[str, Any]:
    issue = {"severity": severity, "code": code, "diagnostics": f"{MARK} {TOKEN}"}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def with_outcome(code: str, severity: str = "warning") -> dict[str, Any]:
    page = found(KIND, first=1)
    page["entry"].append({"resource": outcome(code, severity), "search": {"mode": "outcome"}})
    return page


def link(relation: Any, page: int = 2) -> dict[str, Any]:
    return {"relation": relation, "url": f"{KIND}?page={page}"}


def raw(body: object, *head: bytes, status: bytes = b"200 OK") -> bytes:
    content = json.dumps(body).encode()
    lines = [b"HTTP/1.1 " + status, b"Content-Type: application/fhir+json", *head]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(content), b"", content])


def assess(
    serve: Serve, answer: Callable[[Asked], Any], kind: str = KIND, **settings: Any
) -> requests.Response:
    """The reply about the chart's patient, where searches of this type are answered so."""

    def answer_all(asked: Asked) -> Any:
        return answer(asked) if asked.path.startswith(kind) else healthy(asked)

    with StubServer(answer_all) as fhir:
        service = serve(**{"fhir_servers": (fhir.base_url,), "fetch_seconds": SECONDS} | settings)
        reply = service.post(request_to(fhir.base_url))
    assert TOKEN not in reply.text
    assert MARK not in reply.text
    return reply


def request_to(base_url: str) -> dict[str, Any]:
    return hook_request(
        prefetch=None,
        context={"userId": "Practitioner/1", "patientId": CHART.patient_id},
        fhirServer=base_url,
        fhirAuthorization=authorization(TOKEN),
    )


def assessment(reply: requests.Response) -> dict[str, Any]:
    assert reply.status_code == 200, reply.text
    body = reply.json()
    holders = [body, *body["cards"]]
    return next(one["extension"][NAME] for one in holders if NAME in one.get("extension", {}))


def test_the_chart_is_met(serve: Serve) -> None:
    read = assessment(assess(serve, healthy))
    assert read["verdict"] == "met"
    assert "unread" not in read


# --- what would be a wrong verdict ------------------------------------------------------------------------

SAYS_PART = (
    "incomplete",
    "timeout",
    "suppressed",
    "too-costly",
    "throttled",
    "transient",
    "exception",
    "no-store",
)


@pytest.mark.parametrize("severity", ["warning", "information"])
@pytest.mark.parametrize("code", SAYS_PART)
def test_a_warning_that_not_all_was_sent_is_a_gap(serve: Serve, code: str, severity: str) -> None:
    read = assessment(assess(serve, lambda _: Reply(with_outcome(code, severity))))
    assert read["verdict"] == "indeterminate"
    assert any(f"not have sent all ({code})" in one["problem"] for one in read["unread"])


def test_a_search_that_was_made_narrower_than_asked_is_a_gap(serve: Serve) -> None:
    own = {"relation": "self", "url": f"{KIND}?patient={CHART.patient_id}&status=active&_count=50&ctx=1"}
    read = assessment(assess(serve, lambda _: Reply(found(KIND, first=1, link=[own]))))
    assert read["verdict"] == "indeterminate"
    assert [one["problem"] for one in read["unread"] if "status" in one["problem"]]
    assert not [one for one in read["unread"] if "_count" in one["problem"] or "ctx" in one["problem"]]


NOT_WHOLE: dict[str, tuple[Any, str]] = {
    "a Bundle that says nothing": ({"resourceType": "Bundle"}, "no searchset"),
    "the search of another patient": (
        found(KIND, first=0, link=[{"relation": "self", "url": f"{KIND}?patient=Patient/other"}]),
        "that of another patient",
    ),
    "several next pages": (found(KIND, first=1, link=[link("next"), link("next", 3)]), "no plain address"),
    "a next page under a list of names": (found(KIND, first=1, link=[link(["next"])]), "entries of 9"),
    "a next page with a blank before it": (found(KIND, first=1, link=[link(" next ")]), "entries of 9"),
    "a next page that repeats the first": (found(KIND, first=1, link=[link("next")]), "entries of 9"),
}


@pytest.mark.parametrize("fault", NOT_WHOLE)
def test_what_is_no_whole_list_is_412(serve: Serve, fault: str) -> None:
    """A page that is followed states more records than come."""
    page, why = NOT_WHOLE[fault]
    last = Reply(found(KIND, first=1, total=9))
    reply = assess(serve, lambda asked: last if "page=" in asked.path else Reply(page))
    assert reply.status_code == 412
    assert why in reply.text


def test_a_page_that_only_repeats_another_is_no_end_of_the_list(serve: Serve) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(found(KIND, first=1, link=[] if "page=" in asked.path else [link("next")]))

    reply = assess(serve, answer)
    assert reply.status_code == 412
    assert "only repeats" in reply.text


@pytest.mark.parametrize("kind", ["replaced-by", "refer"])
def test_a_patient_whose_record_is_kept_under_another_id_is_not_judged(serve: Serve, kind: str) -> None:
    merged = of_type("Patient")[0] | {"link": [{"other": {"reference": "Patient/new"}, "type": kind}]}

    def answer(asked: Asked) -> Reply:
        return Reply(merged if asked.path.startswith("Patient") else found("Basic"))

    read = assessment(assess(serve, answer, kind=""))
    assert read["verdict"] == "indeterminate"
    assert any(f"$.link: {kind}" in one["problem"] for one in read["unread"])


@pytest.mark.parametrize("status", [b"102 Processing", b"103 Early Hints", b"199 X"])
def test_an_interim_response_is_not_taken_for_the_answer(serve: Serve, status: bytes) -> None:
    """Else the answer, when it comes, would be that of the next search on the connection."""

    def answer(asked: Asked) -> Any:
        asked.send(b"HTTP/1.1 " + status + b"\r\nLink: </x>\r\n\r\n")
        time.sleep(0.1)
        return healthy(asked)

    read = assessment(assess(serve, answer, kind=""))
    assert read["verdict"] == "met"
    assert "unread" not in read


def test_a_switch_of_protocols_is_no_answer(serve: Serve) -> None:
    reply = assess(serve, lambda asked: asked.send(raw(found(KIND), status=b"101 Switching Protocols")))
    assert reply.status_code == 412


# --- what held a thread, or ended it ----------------------------------------------------------------------


def go_on(start: bytes, piece: bytes, pause: float) -> Callable[[Asked], None]:
    def answer(asked: Asked) -> None:
        asked.send(start)
        ends = time.monotonic() + SECONDS + 15
        while time.monotonic() < ends:
            asked.send(piece)  # ends with an OSError when the caller has hung up
            time.sleep(pause)

    def until_hung_up(asked: Asked) -> None:
        try:
            answer(asked)
        except OSError:
            hung_up.set()

    hung_up = threading.Event()
    until_hung_up.hung_up = hung_up  # type: ignore[attr-defined]
    return until_hung_up


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
ENDLESS: dict[str, tuple[bytes, bytes, float]] = {
    "one header that trickles": (OK + b"X: ", b"x", 0.05),
    "a status line that trickles": (b"HTTP/1.1 200 ", b"x", 0.05),
    "a chunk's extension that trickles": (CHUNKED + b"5;", b"x", 0.05),
    "trailers without end": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: x\r\n", 0.001),
    "interim responses without end": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.001),
    "the body of a redirect without end": (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", b"x", 0.05),
}


@pytest.mark.parametrize("fault", ENDLESS)
def test_an_answer_without_end_is_hung_up_on(serve: Serve, fault: str) -> None:
    """Within a few seconds of the reply: a thread, and a place among all calls, would be held as long as it lasts."""
    answer: Any = go_on(*ENDLESS[fault])
    reply = assess(serve, answer)
    assert reply.status_code == 412
    assert answer.hung_up.wait(10)


LOCATIONS = {
    "bytes that are no text": b"\xff\xfe",
    "an IPv6 address that is none": b"http://[bad",
    "a port that is none": b"http://127.0.0.1:99999999/",
    "another scheme": b"ftp://x/",
}


@pytest.mark.parametrize("kind", [KIND, "Procedure"])
@pytest.mark.parametrize("where", LOCATIONS)
def test_a_redirect_to_what_is_no_address(serve: Serve, where: str, kind: str) -> None:
    answer = raw({}, b"Location: " + LOCATIONS[where], status=b"302 Found")
    reply = assess(serve, lambda asked: asked.send(answer), kind=kind)
    assert "redirects are not followed" in reply.text
    if kind == KIND:
        assert reply.status_code == 412
    else:
        assert "Procedure search" in {one["reference"] for one in assessment(reply)["unread"]}


def test_a_bomb_behind_a_redirect_is_read_no_further_than_any(serve: Serve) -> None:
    bomb = gzip.compress(bytes(20 << 20))
    headers = {"Location": "/x", "Content-Encoding": "gzip"}
    reply = assess(serve, lambda _: Reply(bomb, 302, headers), fetch_seconds=10, fetch_mb=2)
    assert reply.status_code == 412
    assert "larger than 2 MiB" in reply.text


def test_a_cookie_that_cannot_be_read_leaves_no_trace(
    serve: Serve, capfd: pytest.CaptureFixture[str]
) -> None:
    cookie = f"{MARK}=1; expires=1; Max-Age={'9' * 400}"
    read = assessment(assess(serve, lambda _: Reply(found(KIND), headers={"Set-Cookie": cookie})))
    assert read["verdict"] == "met"
    assert not "".join(capfd.readouterr())


@pytest.mark.parametrize("status", [200, 403, 500])
def test_words_of_the_server_in_place_of_a_code_are_not_repeated(serve: Serve, status: int) -> None:
    reply = assess(serve, lambda _: Reply(outcome(MARK, "error"), status))
    assert reply.status_code == 412


# --- what was given up needlessly -------------------------------------------------------------------------


def refuse_above(limit: int, refusal: Reply | None) -> Callable[[Asked], Reply | None]:
    """Answers at most so many at a time, each after a moment."""
    places = threading.Semaphore(limit)

    def answer(asked: Asked) -> Reply | None:
        if not places.acquire(blocking=False):
            return refusal
        try:
            time.sleep(0.03)
            return healthy(asked)
        finally:
            places.release()

    return answer


FEW_AT_A_TIME: dict[str, tuple[int, Reply | None]] = {
    "429 above three": (3, Reply(outcome("throttled", "error"), 429, {"Retry-After": "1"})),
    "429 above one": (1, Reply(b"", 429)),
    "503 above two": (2, Reply(b"", 503)),
    "hangs up above one": (1, None),
}


@pytest.mark.parametrize("fault", FEW_AT_A_TIME)
def test_a_server_that_serves_few_at_a_time_is_asked_by_turns(serve: Serve, fault: str) -> None:
    read = assessment(assess(serve, refuse_above(*FEW_AT_A_TIME[fault]), kind="", fetch_seconds=15))
    assert read["verdict"] == "met"
    assert "unread" not in read


@pytest.mark.parametrize("ending", ["hangs up", "408"])
def test_a_server_that_uses_no_connection_twice(serve: Serve, ending: str) -> None:
    """The pool holds a dozen of them after the first chart: none may be taken for a second attempt."""
    used: set[int] = set()

    def answer(asked: Asked) -> Any:
        connection = id(asked.send.__self__)  # type: ignore[attr-defined]
        if connection in used:
            return Reply(b"", 408) if ending == "408" else None
        used.add(connection)
        handlers.append(asked.send)
        return healthy(asked)

    handlers: list[Any] = []
    with StubServer(answer) as fhir:
        service = serve(fhir_servers=(fhir.base_url,), fetch_seconds=15)
        for _ in range(2):
            read = assessment(service.post(request_to(fhir.base_url)))
            assert read["verdict"] == "met"
            assert "unread" not in read


def test_a_wait_until_a_date_is_kept_by_the_servers_clock(serve: Serve) -> None:
    asked_at: list[float] = []

    def answer(asked: Asked) -> Any:
        asked_at.append(time.monotonic())
        if len(asked_at) > 1:
            return healthy(asked)
        now, then = (formatdate(seconds, usegmt=True).encode() for seconds in (0, 1))
        dates = (b"Date: " + now, b"Retry-After: " + then)
        return asked.send(raw({}, *dates, status=b"429 X"))

    assert assessment(assess(serve, answer, fetch_seconds=15))["verdict"] == "met"
    assert asked_at[1] - asked_at[0] > 0.9


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [
        *(("1", 1.0, 1.2), ("1.5", 1.5, 1.7), ("9" * 300, 1e6, 1e12), ("-1", 0.0, 0.2), ("soon", 0.0, 0.2)),
        *(("", 0.0, 0.2), ("٣", 0.0, 0.2), ("Thu, 01 Jan 1970 00:00:05 GMT", 5.0, 5.2)),
        *(("Wed, 31 Dec 1969 23:59:00 GMT", 0.0, 0.2), ("Thu, 01 Jan 1970 00:00:05", 0.0, 0.2)),
    ],
)
def test_what_a_server_may_say_of_when_to_come_again(retry_after: str, least: float, most: float) -> None:
    headers = {"Retry-After": retry_after, "Date": formatdate(0, usegmt=True)}
    assert least <= pause_before(2, headers) <= most
    assert pause_before(9, {}) <= 1


def test_a_turn_that_does_not_come_is_given_up() -> None:
    turns = Turns()
    with turns.take(3, 1) as first, turns.take(2, 0.01) as second, turns.take(1, 0.01) as unguarded:
        assert (first, second, unguarded) == (True, False, True)
    with turns.take(2, 1) as again:
        assert again


QUERIES = {"a space": "a b", "quotation marks": 'a"b"', "a letter": "ü"}


@pytest.mark.parametrize("stray", QUERIES)
def test_a_next_link_whose_query_is_not_encoded_is_followed(serve: Serve, stray: str) -> None:
    def answer(asked: Asked) -> Reply:
        if "cursor=" in asked.path:
            return Reply(found(KIND) | {"entry": found(KIND)["entry"][1:]})
        return Reply(
            found(KIND, first=1, link=[{"relation": "Next", "url": f"{KIND}?cursor={QUERIES[stray]}"}])
        )

    assert assessment(assess(serve, answer))["verdict"] == "met"


ELSEWHERE = {
    "https://127.0.0.1/fhir/x": "another scheme",
    "http://fhir.internal:8080/fhir/x": "another host",
    "http://127.0.0.1:1/fhir/x": "another port",
    "/x": "another path",
    "Condition?page=2\r\nX-Injected:1": "no plain address",
}


@pytest.mark.parametrize("url", ELSEWHERE)
def test_the_caller_is_told_in_what_a_next_link_leads_elsewhere(serve: Serve, url: str) -> None:
    """Servers behind a proxy name themselves in links as they know themselves."""
    reply = assess(serve, lambda _: Reply(found(KIND, first=1, link=[{"relation": "next", "url": url}])))
    assert reply.status_code == 412
    assert ELSEWHERE[url] in reply.text
    assert "fhir.internal" not in reply.text


def test_a_byte_order_mark_before_the_answer_is_passed_over(serve: Serve) -> None:
    marked = b"\xef\xbb\xbf" + json.dumps(found(KIND)).encode()
    assert assessment(assess(serve, lambda _: Reply(marked)))["verdict"] == "met"


def test_a_dead_address_of_a_server_does_not_use_up_the_time(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name leads to an address where nobody takes the call, and to one that answers."""
    with StubServer(healthy) as fhir, socket.socket() as dead:
        port = int(fhir.base_url.partition("127.0.0.1:")[2].partition("/")[0])
        dead.bind(("127.0.0.2", port))
        dead.listen(0)
        waiting = [socket.socket() for _ in range(4)]  # they fill its queue
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.2", port))
        look_up = socket.getaddrinfo

        def both(host: Any, *rest: Any, **options: Any) -> Any:
            if host != "fhir.example.org":
                return look_up(host, *rest, **options)
            return [*look_up("127.0.0.2", *rest, **options), *look_up("127.0.0.1", *rest, **options)]

        monkeypatch.setattr(socket, "getaddrinfo", both)
        monkeypatch.setenv("NO_PROXY", "*")
        listed = fhir.base_url.replace("127.0.0.1", "fhir.example.org")
        service = serve(fhir_servers=(listed,), private_networks=("127.0.0.0/8",), fetch_seconds=12)
        assert assessment(service.post(request_to(listed)))["verdict"] == "met"
        for one in waiting:
            one.close()
