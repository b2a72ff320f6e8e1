"""What the service needs of an authorization server is told where it is set up."""

from __future__ import annotations

from pathlib import Path

import pytest

from cds_service.needs import NEEDS

README = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")


@pytest.mark.conformance("CH-821")
@pytest.mark.parametrize("resource_type", sorted({need.resource_type for need in NEEDS} | {"Medication"}))
def test_the_scope_for_each_type_is_in_the_readme(resource_type: str) -> None:
    assert f"`patient/{resource_type}.rs`" in README
