"""What the tests share: values of the rules built from what a test names, and small text tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import settings

from cds_service.fhir_server.circuit_breaker import CIRCUITS
from cds_service.fhir_server.known_servers import SERVERS
from cds_service.tables.definitions import load_definitions
from cds_service.trd.parameters import Definition
from tests import conformance_page
from tests.databases import KINDS, PostgreSQL, running_postgresql

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


@pytest.fixture(scope="session", autouse=True)
def data_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The default store lies in a directory of this run, never in that of the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(autouse=True)
def servers_are_strangers() -> None:
    """What was learned of a server in one test says nothing of one on the same port in another."""
    SERVERS.forget()
    CIRCUITS.forget()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server of this run."""
    with running_postgresql() as server:
        yield server


@pytest.fixture(params=KINDS)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/store/feedback.sqlite3"
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    url = server.new_database()
    yield url
    server.drop(url)


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
