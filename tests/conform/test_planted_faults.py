"""The checker finds every planted fault of a sample service, by the rule it breaks, and nothing else."""

from __future__ import annotations

import pytest

from cds_service.conform.results import Report, Status
from tests.conform.checking import failed, report_on_sample, status_of
from tests.conform.faulty_service import (
    FAULTS,
    FAULTS_OF_CARDS,
    FAULTS_OF_DISCOVERY,
    FAULTS_OF_TEMPLATES,
    VIEW,
)

NOT_IN_THE_SOUND_SAMPLE = {
    "CH-503",  # it sends no system actions
    "CH-H24",  # and has no hook of its own
}


@pytest.fixture(scope="module")
def sound() -> Report:
    return report_on_sample()


def test_without_a_fault_nothing_is_red(sound: Report) -> None:
    assert failed(sound) == {}


def test_every_rule_that_a_fault_breaks_is_green_without_it(sound: Report) -> None:
    status = status_of(sound)
    broken = {rule for rules in FAULTS.values() for rule in rules}
    assert {rule for rule in broken if status[rule] is not Status.PASSED} == NOT_IN_THE_SOUND_SAMPLE


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_by_its_rules_only(fault: str) -> None:
    is_in_one = fault in {*FAULTS_OF_DISCOVERY, *FAULTS_OF_TEMPLATES, *FAULTS_OF_CARDS}
    found = failed(report_on_sample(fault, only_service=VIEW if is_in_one else None))
    assert set(found) == FAULTS[fault], found


def test_all_faults_at_once_are_found_and_nothing_else() -> None:
    found = failed(report_on_sample(*FAULTS))
    expected = {rule for rules in FAULTS.values() for rule in rules}
    assert set(found) == expected, {rule: found.get(rule) for rule in set(found) ^ expected}


def test_there_are_plenty_of_faults() -> None:
    assert len(FAULTS) >= 100
