"""The log of the service, read as people's programs read it."""

from __future__ import annotations

import json
from typing import Any

from cds_service.logs import FIELDS


def read_lines(log: str) -> list[dict[str, Any]]:
    """Every line is one object, with the fields of its kind of event and no other."""
    lines = [json.loads(line) for line in log.splitlines()]
    for line in lines:
        assert set(line) <= set(FIELDS[line["event"]]), line
        assert None not in line.values()
    return lines


def calls_in(log: str) -> list[dict[str, Any]]:
    return [line for line in read_lines(log) if line["event"] == "call"]
