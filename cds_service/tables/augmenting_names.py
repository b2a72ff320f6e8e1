"""The ingredient names of the augmenting agents in `augmentation.csv`, without route or release form."""

from __future__ import annotations

import re
from functools import lru_cache

from cds_service.tables.rows import read_rows

ROUTE_OR_FORM = re.compile(r"\s*\(.*\)| XR$| IV$")


@lru_cache(maxsize=1)
def augmenting_ingredients() -> frozenset[str]:
    """`quetiapine` for "quetiapine XR"; of a combination each ingredient."""
    names = (
        ROUTE_OR_FORM.sub("", row.required("agent")) for row in read_rows("augmentation.csv", ("agent",))
    )
    return frozenset(part for name in names for part in name.split(" / "))
