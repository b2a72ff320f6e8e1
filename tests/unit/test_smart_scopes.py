"""What each scope allows to ask of Observation."""

from __future__ import annotations

import pytest

from cds_service.fhir_server.smart_scopes import may_read, may_search


@pytest.mark.parametrize(
    ("scope", "read", "search"),
    [
        ("patient/Observation.read", True, True),
        ("user/Observation.*", True, True),
        ("system/*.read", True, True),
        ("patient/*.*", True, True),
        ("patient/Observation.rs", True, True),
        ("user/*.cruds", True, True),
        ("patient/Observation.r", True, False),
        ("patient/Observation.s", False, True),
        ("patient/Observation.write", False, False),
        ("patient/Observation.cud", False, False),
        ("patient/Observation.", False, False),
        ("patient/Observation.sr", False, False),
        ("patient/Observation.rs?category=survey", False, False),
        ("patient/Condition.read", False, False),
        ("patient/ObservationDefinition.read", False, False),
        ("Patient/Observation.read", False, False),
        ("observation/Observation.read", False, False),
        ("patient/Observation.rs?", False, False),
        ("patient/*.rs?_tag=x", False, False),
        ("patient/Observation.read?x=1", False, False),
        ("patient/Observation.c", False, False),
        ("patient/Observation.rr", False, False),
        ("patient/Observation.RS", False, False),
        ("patient/Observation.read.write", False, False),
        ("patient/Observation", False, False),
        ("patient/observation.read", False, False),
        ("patient/Obs*.read", False, False),
        ("patient/*", False, False),
        ("*/*.read", False, False),
        ("*", False, False),
        ("system/*.rs", True, True),
        ("system/Observation.crs", True, True),
        ("fhirUser", False, False),
        ("offline_access", False, False),
        ("launch", False, False),
        ("online_access", False, False),
        ("patient/Observation.read\u0000", False, False),
        ("launch/patient", False, False),
        ("openid", False, False),
    ],
)
def test_one_scope(scope: str, read: bool, search: bool) -> None:
    assert may_read(("openid", scope), "Observation") is read
    assert may_search(("openid", scope), "Observation") is search


def test_no_scope_allows_nothing() -> None:
    assert not may_read((), "Patient")
    assert not may_search((), "Patient")
