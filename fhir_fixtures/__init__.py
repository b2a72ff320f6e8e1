"""The fixture patients: 24 invented people, each charted the way some real record system writes.

`vignettes()` lists them with what is expected of each. `builders` makes smaller resources for tests,
`server` serves any of them as a FHIR R4 server, `loading` pushes them into another one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any


@dataclass(frozen=True)
class Vignette:
    """One fixture patient; `folder` holds `bundle.json` and `expected.json`. Change neither in place."""

    folder: Traversable

    @property
    def id(self) -> int:
        return int(self.name.partition("-")[0])

    @property
    def name(self) -> str:
        """The folder's name, such as `01-clean-positive`."""
        return self.folder.name

    @property
    def title(self) -> str:
        return str(self.expected["title"])

    @property
    def patient_id(self) -> str:
        """The bare logical id, without `Patient/`."""
        return str(self.expected["patient"]).removeprefix("Patient/")

    @property
    def encoding(self) -> str:
        """How this chart writes drugs, doses, days and scores, in words."""
        return str(self.expected["encoding"])

    @cached_property
    def bundle(self) -> dict[str, Any]:
        return self._read("bundle.json")

    @cached_property
    def expected(self) -> dict[str, Any]:
        return self._read("expected.json")

    def _read(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.folder.joinpath(name).read_text("utf-8"))
        return content


@lru_cache(maxsize=1)
def _all_vignettes() -> tuple[Vignette, ...]:
    folders = files("fhir_fixtures").joinpath("vignettes").iterdir()
    return tuple(Vignette(folder) for folder in sorted(folders, key=lambda it: it.name) if folder.is_dir())


def vignettes(only: Iterable[int] | None = None) -> tuple[Vignette, ...]:
    """All fixture patients by number, or those with these numbers."""
    wanted = None if only is None else set(only)
    return tuple(one for one in _all_vignettes() if wanted is None or one.id in wanted)
