"""What the tests share: values of the rules built from what a test names, and small text tables."""

from __future__ import annotations

from datetime import date

import pytest

from cds_service.tables.definitions import load_definitions
from cds_service.trd.model import Definition

ON = date(2026, 6, 30)


@pytest.fixture
def definition() -> Definition:
    return load_definitions()["default-configurable"]
