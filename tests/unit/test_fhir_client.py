"""What a FHIR server may do to us, and what comes of it: every fault is bounded and told in plain words."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest

from cds_service.errors import FhirFatalError, FhirServerError, FhirTemporaryError
from cds_service.fhir_address import read_address
from cds_service.fhir_server.client import FhirClient
from cds_service.outbound.bounded_get import Bounds
from fhir_fixtures.builders import condition, patient, searchset
from tests.contract.stub_server import Asked, Reply, StubServer

QUERY = "Condition?patient=secret-id"
OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "forbidden", "diagnostics": "secret-id may not be seen"}],
}


def test_a_search_follows_all_pages_with_the_token_on_each() -> None:
    def answer(asked: Asked) -> Reply:
        page = 1 + asked.path.count("page=2") + 2 * asked.path.count("page=3")
        link = f"{stub.base_url}?page={page + 1}" if page < 3 else None
        return Reply(searchset(condition(f"dx{page}"), total=3, next_url=link))

    with StubServer(answer) as stub:
        result = client(stub, token="marker").search(QUERY, ())
    assert [entry.resource["id"] for entry in result.entries] == ["dx1", "dx2", "dx3"]
    assert [asked.headers["Authorization"] for asked in stub.asked] == ["Bearer marker"] * 3
    assert result.entries[2].place == "Condition search page 3.entry[0].resource"


def test_without_a_token_no_authorization_is_sent() -> None:
    with StubServer(lambda _: Reply(searchset())) as stub:
        client(stub).search(QUERY, ())
    assert "Authorization" not in stub.asked[0].headers


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (Reply(OUTCOME, 401), FhirFatalError, "answered 401 (forbidden)"),
        (Reply(OUTCOME, 403), FhirFatalError, "answered 403 (forbidden)"),
        (Reply(OUTCOME, 404), FhirFatalError, "answered 404 (forbidden)"),
        (Reply(b"oops", 501), FhirFatalError, "answered 501 to"),
        (Reply(OUTCOME, 200), FhirFatalError, "error (forbidden)"),
        (Reply(b"<html>sign in</html>", 200, {"Content-Type": "text/html"}), FhirFatalError, "not FHIR JSON"),
        (Reply(b'{"resourceType": "Bundle", "en'), FhirFatalError, "not FHIR JSON"),
        (Reply(b"[" * 100_000), FhirFatalError, "not FHIR JSON"),
        (Reply([]), FhirFatalError, "not FHIR JSON"),
        (Reply(b""), FhirFatalError, "not FHIR JSON"),
        (Reply(patient()), FhirFatalError, "expected a Bundle"),
        (Reply(b"", 302, {"Location": "http://127.0.0.1:9/"}), FhirFatalError, "redirects are not followed"),
        (Reply(searchset(condition("dx1"), total=5)), FhirFatalError, "1 entries of 5"),
        (
            Reply(searchset(condition("dx1")) | {"entry": [{"resource": OUTCOME}]}),
            FhirFatalError,
            "(forbidden)",
        ),
    ],
)
def test_a_useless_answer_is_asked_for_once_and_named(reply: Reply, error: type, words: str) -> None:
    with StubServer(lambda _: reply) as stub, pytest.raises(error) as failed:
        client(stub, token="marker").search(QUERY, ())
    assert words in str(failed.value)
    assert len(stub.asked) == 1
    assert_nothing_private(failed.value)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_server_is_asked_again(status: int) -> None:
    with StubServer(lambda _: Reply(OUTCOME, status) if len(stub.asked) < 3 else Reply(searchset())) as stub:
        client(stub).search(QUERY, ())
    assert len(stub.asked) == 3


def test_an_error_of_the_server_is_asked_again_once() -> None:
    with StubServer(lambda _: Reply(OUTCOME, 500) if len(stub.asked) < 2 else Reply(searchset())) as stub:
        client(stub).search(QUERY, ())
        assert len(stub.asked) == 2
    with (
        StubServer(lambda _: Reply(OUTCOME, 500)) as broken,
        pytest.raises(FhirTemporaryError, match="answered 500"),
    ):
        client(broken).search(QUERY, ())
    assert len(broken.asked) == 2


def test_a_wait_that_the_server_asks_for_is_kept() -> None:
    times: list[float] = []

    def answer(_: Asked) -> Reply:
        times.append(time.monotonic())
        return Reply(b"", 429, {"Retry-After": "1"}) if len(times) == 1 else Reply(searchset())

    with StubServer(answer) as stub:
        client(stub).search(QUERY, ())
    assert times[1] - times[0] >= 1


# --- pages that are gone ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("gone_for", "searches"), [(1, 2), (2, 2)])
def test_a_search_whose_pages_are_gone_is_made_anew_once(gone_for: int, searches: int) -> None:
    refused: list[str] = []

    def answer(asked: Asked) -> Reply:
        if "page=2" not in asked.path:
            return Reply(searchset(condition("dx1"), next_url=f"{stub.base_url}?page=2"))
        if len(refused) < gone_for:
            refused.append(asked.path)
            return Reply(OUTCOME, 410)
        return Reply(searchset(condition("dx2")))

    with StubServer(answer) as stub:
        if gone_for == 1:
            found = client(stub).search(QUERY, ())
            assert [entry.resource["id"] for entry in found.entries] == ["dx1", "dx2"]
        else:
            with pytest.raises(FhirFatalError, match="answered 410"):
                client(stub).search(QUERY, ())
    assert len([path for path in stub.paths if "page=2" not in path]) == searches


# --- long addresses ---------------------------------------------------------------------------------------


def test_a_search_with_a_long_address_is_posted_as_a_form() -> None:
    ids = [f"{number:064d}" for number in range(50)]
    with StubServer(lambda _: Reply(searchset())) as stub:
        client(stub, token="marker").search_ids("Medication", ids, ())
    (asked,) = stub.asked
    assert (asked.method, asked.path) == ("POST", "Medication/_search")
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert asked.headers["Authorization"] == "Bearer marker"
    assert dict(parse_qsl(asked.body.decode())) == {"_id": ",".join(ids), "_count": "100"}


def test_a_search_with_a_short_address_is_a_get() -> None:
    with StubServer(lambda _: Reply(searchset())) as stub:
        client(stub).search_ids("Medication", ["m1", "m2"], ())
    assert [(asked.method, asked.path) for asked in stub.asked] == [
        ("GET", "Medication?_id=m1,m2&_count=100")
    ]


def test_a_server_that_stays_busy_is_left_after_three_attempts() -> None:
    with StubServer(lambda _: Reply(b"", 503)) as stub, pytest.raises(FhirTemporaryError, match="503"):
        client(stub).search(QUERY, ())
    assert len(stub.asked) == 3


def test_a_wait_that_the_time_does_not_allow_is_not_waited() -> None:
    started = time.monotonic()
    with (
        StubServer(lambda _: Reply(b"", 429, {"Retry-After": "60"})) as stub,
        pytest.raises(FhirTemporaryError, match="429"),
    ):
        client(stub, seconds=2).search(QUERY, ())
    assert len(stub.asked) == 1
    assert time.monotonic() - started < 1


def test_a_connection_that_breaks_once_is_tried_again() -> None:
    with StubServer(lambda _: None if len(stub.asked) < 2 else Reply(searchset())) as stub:
        client(stub).search(QUERY, ())
    assert len(stub.asked) == 2


def wait_for_nothing(_: Asked) -> None:
    time.sleep(2)


def trickle(asked: Asked) -> None:
    asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    drip(asked)


def trickle_in_chunks(asked: Asked) -> None:
    asked.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    drip(asked, b"1\r\n \r\n")


def drip(asked: Asked, drop: bytes = b" ") -> None:
    try:
        for _ in range(40):
            asked.send(drop)
            time.sleep(0.05)
    except OSError:
        pass


@pytest.mark.parametrize("answer", [wait_for_nothing, trickle, trickle_in_chunks])
def test_a_slow_server_gets_the_time_budget_and_no_more(answer: Callable[[Asked], None]) -> None:
    started = time.monotonic()
    with StubServer(answer) as stub, pytest.raises(FhirTemporaryError) as failed:
        client(stub, seconds=0.4).search(QUERY, ())
    assert time.monotonic() - started < 1.2
    assert_nothing_private(failed.value)


def test_a_truncated_answer_is_a_failure() -> None:
    def answer(asked: Asked) -> None:
        asked.send(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"resourceType": "Bundle"}')

    with StubServer(answer) as stub, pytest.raises(FhirServerError):
        client(stub).search(QUERY, ())


def test_an_endless_answer_is_cut_off() -> None:
    with StubServer(lambda _: Reply(b" " * (3 << 20))) as stub, pytest.raises(FhirFatalError, match="1 MiB"):
        client(stub, mib=1).search(QUERY, ())


def test_a_server_that_is_down_is_named_as_unreachable() -> None:
    with StubServer(lambda _: None) as stub:
        closed = client(stub)
    with pytest.raises(FhirTemporaryError, match="could not be reached") as failed:
        closed.search(QUERY, ())
    assert_nothing_private(failed.value)


def test_pages_that_loop_are_noticed() -> None:
    with StubServer(lambda _: Reply(searchset(next_url=f"{stub.base_url}?page=2"))) as stub:
        with pytest.raises(FhirFatalError, match="do not end"):
            client(stub).search(QUERY, ())
        assert len(stub.asked) == 2


def test_pages_without_end_are_left() -> None:
    with StubServer(lambda _: Reply(searchset(next_url=f"{stub.base_url}?p={len(stub.asked)}"))) as stub:
        with pytest.raises(FhirFatalError, match="more than 5"):
            client(stub, max_pages=5).search(QUERY, ())
        assert len(stub.asked) == 6


def test_a_page_elsewhere_is_never_asked_for() -> None:
    with StubServer(lambda _: Reply(searchset())) as elsewhere:
        reply = Reply(searchset(next_url=f"{elsewhere.base_url}?page=2"))
        with StubServer(lambda _: reply) as stub, pytest.raises(FhirFatalError, match="not below"):
            client(stub, token="marker").search(QUERY, ())
    assert elsewhere.asked == []


def test_a_read_takes_the_resource_asked_for_only() -> None:
    with StubServer(lambda _: Reply(patient("p1"))) as stub:
        assert client(stub).read("Patient", "p1")["id"] == "p1"
        with pytest.raises(FhirFatalError, match="another resource"):
            client(stub).read("Patient", "p2")
        with pytest.raises(FhirFatalError, match="another resource"):
            client(stub).read("Condition", "p1")
    assert stub.paths == ["Patient/p1", "Patient/p2", "Condition/p1"]


def test_cookies_are_not_kept() -> None:
    with StubServer(lambda _: Reply(searchset(), headers={"Set-Cookie": "session=1"})) as stub:
        client(stub).search(QUERY, ())
        client(stub).search(QUERY, ())
    assert "Cookie" not in stub.asked[1].headers


def client(
    stub: StubServer, token: str | None = None, seconds: float = 5, mib: float = 64, **options: Any
) -> FhirClient:
    base = read_address(stub.base_url)
    assert base is not None
    return FhirClient(base, token, Bounds(time.monotonic() + seconds, mib), **options)


def assert_nothing_private(error: Any) -> None:
    while error is not None:
        assert "secret-id" not in str(error)
        assert "marker" not in str(error)
        error = error.__cause__
