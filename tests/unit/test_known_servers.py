"""What is remembered of servers: manners only, for a while, of so many."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cds_service.fhir_server.known_servers import KnownServers
from cds_service.fhir_server.metadata import include_of, includes_of

URL = "https://ehr.example.org/fhir"
INCLUDE = "MedicationRequest:medication"


def test_a_way_is_kept_for_its_type_and_server() -> None:
    servers = KnownServers()
    servers.keep_way(URL, "Observation", 0)
    assert servers.way_of(URL, "Observation") == 0
    assert servers.way_of(URL, "Condition") is None
    assert servers.way_of(f"{URL}/r4", "Observation") is None
    servers.keep_way(URL, "Observation", None)
    assert servers.way_of(URL, "Observation") is None


def test_nothing_is_kept_longer_than_its_time() -> None:
    servers = KnownServers(seconds=0.05)
    servers.keep_way(URL, "Observation", 0)
    servers.keep_include(URL, INCLUDE, False)
    servers.keep_takes_counts(URL, False)
    time.sleep(0.1)
    assert servers.way_of(URL, "Observation") is None
    assert servers.knows_include(URL, INCLUDE) is None
    assert servers.takes_counts(URL) is None


def test_the_least_used_server_is_forgotten() -> None:
    servers = KnownServers(size=2)
    for url in ("a", "b", "a", "c"):
        servers.keep_way(url, "Observation", 0)
    assert [servers.way_of(url, "Observation") for url in ("a", "c")] == [0, 0]
    assert servers.way_of("b", "Observation") is None


def test_the_first_who_reads_medications_apart_asks_and_no_other() -> None:
    servers = KnownServers()
    assert [servers.is_to_be_asked(URL) for _ in range(3)] == [True, False, False]


@pytest.mark.parametrize(
    ("statement", "includes"),
    [
        ({"rest": [{"mode": "server", "resource": [{"type": "MedicationRequest", "searchInclude": [INCLUDE]}]}]}, True),
        ({"rest": [{"mode": "server", "resource": [{"type": "MedicationRequest", "searchInclude": ["*"]}]}]}, True),
        ({"rest": [{"mode": "server", "resource": [{"type": "MedicationRequest", "searchInclude": ["x", 7]}]}]}, False),
        ({"rest": [{"mode": "server", "resource": [{"type": "MedicationRequest", "searchInclude": []}]}]}, None),
        ({"rest": [{"mode": "client", "resource": [{"type": "MedicationRequest", "searchInclude": ["*"]}]}]}, None),
        ({"rest": [{"mode": "server", "resource": [{"type": "MedicationRequest"}]}]}, None),
        ({"rest": [{"mode": "server", "resource": [{"type": "Condition", "searchInclude": ["*"]}]}]}, None),
        ({"rest": [{"mode": "server", "resource": [{"type": ["x"], "searchInclude": [{}, 7]}, 7]}, "x"]}, None),
        ({"rest": [{"mode": "server", "resource": {"type": "MedicationRequest"}}]}, None),
        ({"rest": {}}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_includes_are_read_from_any_statement(statement: dict[str, Any], includes: bool | None) -> None:
    assert includes_of(statement).get(INCLUDE) is includes


def test_types_without_a_drug_have_no_include() -> None:
    assert include_of("MedicationDispense") == "MedicationDispense:medication"
    assert include_of("Observation") is None
