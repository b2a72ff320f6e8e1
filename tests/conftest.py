"""What the tests share: values of the rules built from what a test names, and small text tables."""

from __future__ import annotations

import os
from datetime import date

import pytest
from hypothesis import settings

from cds_service.tables.definitions import load_definitions
from cds_service.trd.parameters import Definition
from tests import conformance_page

ON = date(2026, 6, 30)

# Busy machines are slow, which is no failure. Where the variable CI is set, the examples are the same each time.
settings.register_profile("no deadline", parent=settings.default, deadline=None)
settings.load_profile("no deadline")


# Mutation testing runs the tests some thousand times: fewer examples then, and the same each time.
FEW_EXAMPLES = os.environ.get("HYPOTHESIS_PROFILE") == "few examples"
settings.register_profile(
    "few examples", parent=settings.default, deadline=None, derandomize=True, database=None, max_examples=12
)
settings.load_profile("few examples" if FEW_EXAMPLES else "no deadline")


def examples(number: int) -> int:
    """So many examples, or few where the profile says so."""
    return min(number, 12) if FEW_EXAMPLES else number


@pytest.fixture
def definition() -> Definition:
    return load_definitions()["default-configurable"]


def pytest_addoption(parser: pytest.Parser) -> None:
    conformance_page.add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    is_worker = hasattr(
        config, "workerinput"
    )  # of pytest-xdist: the reports of all come to the first process
    if config.getoption("--write-conformance") and not is_worker:
        config.pluginmanager.register(conformance_page.ConformanceRun(), "conformance page")
