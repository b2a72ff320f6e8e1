"""What the embedded server refuses, and how FHIR says so."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

DEEPEST_JSON = 100


class Refused(Exception):
    """A request that cannot be served: an HTTP status, a FHIR issue code, and words for the caller."""

    def __init__(self, status: int, issue_code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.issue_code = issue_code
        self.text = text


def operation_outcome(issue_code: str, text: str, severity: str = "error") -> dict[str, Any]:
    issue = {"severity": severity, "code": issue_code, "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def read_json(body: bytes | str) -> Any:
    """The parsed body; refused when it is not JSON, too deep, or holds numbers JSON cannot carry."""
    try:
        value = json.loads(body, parse_constant=_no_such_number, parse_float=_finite)
    except (ValueError, RecursionError) as problem:
        raise Refused(400, "structure", f"The body is not valid JSON: {_in_words(problem)}") from None
    if _depth_exceeds(value, DEEPEST_JSON):
        raise Refused(400, "too-costly", f"The body nests deeper than {DEEPEST_JSON} levels")
    return value


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_such_number(text)


def _no_such_number(text: str) -> NoReturn:
    raise ValueError(f"{text[:20]} is not a number FHIR allows")


def _in_words(problem: Exception) -> str:
    if isinstance(problem, UnicodeDecodeError):
        return f"not UTF-8 at byte {problem.start}"
    return "nested too deeply" if isinstance(problem, RecursionError) else str(problem)


def _depth_exceeds(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return False
    return True


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
