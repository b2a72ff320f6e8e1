"""What the tests share: values of the rules built from what a test names, and small text tables."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import settings

from cds_service.tables.definitions import load_definitions
from cds_service.trd.model import Definition

ON = date(2026, 6, 30)

# Busy machines are slow, which is no failure. Where the variable CI is set, the examples are the same each time.
settings.register_profile("no deadline", parent=settings.default, deadline=None)
settings.load_profile("no deadline")


@pytest.fixture
def definition() -> Definition:
    return load_definitions()["default-configurable"]
