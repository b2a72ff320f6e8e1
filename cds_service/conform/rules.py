"""The rules of CDS Hooks 2.0.1 (and what 3.0.0-ballot adds) as rows of `rules.csv`."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import StringIO

LEVELS = ("shall", "should", "advice")


@dataclass(frozen=True)
class Rule:
    """One rule. `binds` is who has to keep it; `not_seen` says why a checker from outside cannot tell."""

    id: str
    must_hold: str
    strength: str
    section: str
    binds: str
    not_seen: str

    @property
    def level(self) -> str:
        """How hard it binds a service: `shall`, `should`, or `advice` (also what it should survive of clients)."""
        if self.strength.startswith("CLIENT"):
            return "advice"
        if self.strength.lower().startswith("should"):
            return "should"
        return "shall" if "SHALL" in self.strength else "advice"


@cache
def load_rules() -> dict[str, Rule]:
    """All rules by id, in the order of the checklist."""
    text = files("cds_service.conform").joinpath("rules.csv").read_text("utf-8")
    return {row["id"]: Rule(**row) for row in csv.DictReader(StringIO(text, newline=""))}
