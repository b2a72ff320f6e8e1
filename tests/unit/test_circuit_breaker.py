"""When a server is left alone, and when it is tried again."""

from __future__ import annotations

import time

import pytest

from cds_service.errors import FhirServerError, FhirTemporaryError
from cds_service.fhir_address import read_address
from cds_service.fhir_server.circuit_breaker import CIRCUITS, FAILURES, Circuit, Circuits
from cds_service.fhir_server.client import FhirClient
from cds_service.outbound.bounded_get import Bounds
from fhir_fixtures.builders import searchset
from tests.contract.stub_server import Asked, Reply, StubServer

URL = "https://ehr.example.org/fhir"


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    circuit = Circuit(failures=3, pause=60)
    for _ in range(2):
        circuit.failed()
        circuit.require_closed("Condition search")
    circuit.failed()
    with pytest.raises(FhirTemporaryError, match="not called for the Condition search"):
        circuit.require_closed("Condition search")


def test_an_answer_between_begins_the_count_anew() -> None:
    circuit = Circuit(failures=2, pause=60)
    for _ in range(5):
        circuit.failed()
        circuit.answered()
    circuit.require_closed("Condition search")


@pytest.mark.parametrize("is_well_again", [True, False])
def test_after_the_pause_it_is_tried_again(is_well_again: bool) -> None:
    circuit = Circuit(failures=2, pause=0.05)
    circuit.failed()
    circuit.failed()
    time.sleep(0.1)
    circuit.require_closed("Condition search")
    circuit.answered() if is_well_again else circuit.failed()
    if is_well_again:
        circuit.failed()
        circuit.require_closed("Condition search")
    else:
        with pytest.raises(FhirTemporaryError):
            circuit.require_closed("Condition search")


def test_each_server_has_its_own_and_the_least_used_are_dropped() -> None:
    circuits = Circuits(size=2)
    first = circuits.of("a")
    assert circuits.of("a") is first
    assert circuits.of("b") is not first
    circuits.of("a")
    circuits.of("c")
    assert circuits.of("a") is first


# --- what counts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_server_without_answers_is_asked_no_more_for_a_moment(status: int) -> None:
    with StubServer(lambda _: Reply(b"", status)) as stub:
        prepare(stub, FAILURES - 1)
        with pytest.raises(FhirTemporaryError, match=f"answered {status}"):
            search(stub)
        so_far = len(stub.asked)
        with pytest.raises(FhirTemporaryError, match="no answer many times in a row"):
            search(stub)
        assert len(stub.asked) == so_far


def test_a_server_that_is_down_counts() -> None:
    with StubServer(lambda _: None) as stub:
        pass
    prepare(stub, FAILURES - 1)
    with pytest.raises(FhirTemporaryError, match="could not be reached"):
        search(stub)
    with pytest.raises(FhirTemporaryError, match="no answer many times in a row"):
        search(stub)


@pytest.mark.parametrize(("seconds", "is_open"), [(1.2, True), (0.3, False)])
def test_a_time_out_counts_for_who_had_time(seconds: float, is_open: bool) -> None:
    def hang(_: Asked) -> None:
        time.sleep(seconds + 0.2)

    with StubServer(hang) as stub:
        prepare(stub, FAILURES - 1)
        with pytest.raises(FhirTemporaryError, match="took too long"):
            search(stub, seconds)
        with pytest.raises(FhirTemporaryError, match="many times" if is_open else "took too long"):
            search(stub, seconds)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 410, 422, 429, 500])
def test_any_answer_shows_that_the_server_is_there(status: int) -> None:
    with StubServer(lambda _: Reply(searchset(), status)) as stub:
        prepare(stub, FAILURES - 1)
        for _ in range(2):
            try:
                search(stub)
            except FhirServerError as error:
                assert f"answered {status}" in str(error)
        prepare(stub, FAILURES - 1)
        CIRCUITS.of(stub.base_url).require_closed("Condition search")


def prepare(stub: StubServer, failures: int) -> None:
    for _ in range(failures):
        CIRCUITS.of(stub.base_url).failed()


def search(stub: StubServer, seconds: float = 5) -> None:
    base = read_address(stub.base_url)
    assert base is not None
    FhirClient(base, None, Bounds(time.monotonic() + seconds, 1)).search("Condition?patient=p1", ())
