"""The names of the FHIR R4 resource types."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files


@lru_cache(maxsize=1)
def resource_types() -> frozenset[str]:
    """The names of all FHIR R4 resource types."""
    listed = files("fhir_fixtures").joinpath("r4_resource_types.json").read_text("utf-8")
    return frozenset(json.loads(listed))
