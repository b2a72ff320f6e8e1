"""Which of the elements that could not be read matter to a question."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cds_service.fhir_reading.elements import Problem

TOP_ELEMENT = re.compile(r"\$\.(\w+)")


def problem_with(problems: Iterable[Problem], *elements: str) -> str:
    """The first problem in one of these top-level elements, or in the whole resource; else empty."""
    for problem in problems:
        top = TOP_ELEMENT.match(problem.path)
        if top is None or top[1] in elements:
            return f"at {problem.text}"
    return ""
