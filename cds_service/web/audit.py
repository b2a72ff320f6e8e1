"""FHIR AuditEvents: who asked what of whose record. The one place that names the patient.

Codes: FHIR R4, audit-event-type, restful-interaction, audit-entity-type, object-role, security-source-type,
and DICOM's 110153 Source Role ID, as in the standard's own examples (docs/operations.md names them).
"""

from __future__ import annotations

import errno
import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from cds_service.errors import SettingsError
from cds_service.security.callers import Caller
from cds_service.web.call_facts import CallFacts

logger = logging.getLogger("cds_service.audit")

_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
_TYPE = {"system": f"{_TERMINOLOGY}/audit-event-type", "code": "rest", "display": "RESTful Operation"}
_INTERACTION = "http://hl7.org/fhir/restful-interaction"
_CALLER_ROLE = {
    "system": "http://dicom.nema.org/resources/ontology/DCM",
    "code": "110153",
    "display": "Source Role ID",
}
_SOURCE_TYPE = {
    "system": f"{_TERMINOLOGY}/security-source-type",
    "code": "4",
    "display": "Application Server",
}
_PERSON = {"system": f"{_TERMINOLOGY}/audit-entity-type", "code": "1", "display": "Person"}
_SYSTEM_OBJECT = {"system": f"{_TERMINOLOGY}/audit-entity-type", "code": "2", "display": "System Object"}
_PATIENT_ROLE = {"system": f"{_TERMINOLOGY}/object-role", "code": "1", "display": "Patient"}
_QUERY_ROLE = {"system": f"{_TERMINOLOGY}/object-role", "code": "24", "display": "Query"}
_INTERACTIONS = {"call_service": ("operation", "E"), "take_feedback": ("create", "C")}
_SUCCESS, _MINOR_FAILURE, _SERIOUS_FAILURE = "0", "4", "8"
_NOBODY_KNOWN = "a client that was not authenticated"


@dataclass(frozen=True)
class AuditFile:
    """A file that only its owner may read. Each event is one line, written at once: so of all processes none
    cuts into another's."""

    path: Path
    observer: str

    def __call__(self, facts: CallFacts) -> None:
        """Adds the event of a call of a hook or of feedback. What cannot be written is told in the log."""
        if facts.service is None:
            return
        line = msgspec.json.encode(audit_event(facts, self.observer, datetime.now(UTC))) + b"\n"
        try:
            self.add(line)
        except OSError as error:
            logger.error("%s: the audit event was not written: %s", facts.request_id, error.strerror)

    def add(self, line: bytes) -> None:
        """Raises OSError; a part of the line may then be there."""
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.write(file, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(file)


def open_audit(path: Path | None, observer: str) -> AuditFile | None:
    """The file of the setting, if there is one. Raises SettingsError where it cannot be written."""
    if path is None:
        return None
    audit = AuditFile(path, observer)
    try:
        audit.add(b"")
    except OSError as error:
        raise SettingsError(f"TRD_CDS_AUDIT_FILE={path}: cannot be written: {error.strerror}") from None
    return audit


def audit_event(facts: CallFacts, observer: str, recorded: datetime) -> dict[str, Any]:
    """The FHIR R4 AuditEvent of one call; `observer` is the service's own address."""
    interaction, action = _INTERACTIONS.get(facts.endpoint, ("operation", "E"))
    return {
        "resourceType": "AuditEvent",
        "type": _TYPE,
        "subtype": [{"system": _INTERACTION, "code": interaction, "display": interaction}],
        "action": action,
        "recorded": recorded.isoformat(timespec="milliseconds"),
        "outcome": _outcome(facts.status),
        "outcomeDesc": str(facts.status),
        "agent": [_agent(facts.caller)],
        "source": {"observer": {"display": observer}, "type": [_SOURCE_TYPE]},
        "entity": [*_patient(facts), _query(facts)],
    }


def _outcome(status: int) -> str:
    if status < 400:
        return _SUCCESS
    return _MINOR_FAILURE if status < 500 else _SERIOUS_FAILURE


def _agent(caller: Caller) -> dict[str, Any]:
    """The client, by what its token says of it where it had a valid one."""
    agent: dict[str, Any] = {"type": {"coding": [_CALLER_ROLE]}, "requestor": True}
    if not caller.issuer:
        return {**agent, "name": _NOBODY_KNOWN}
    identifier = {"system": caller.issuer, "value": caller.subject or caller.issuer}
    who = {"identifier": identifier, "display": caller.name or caller.issuer}
    return {**agent, "who": who, "name": caller.name or caller.issuer}


def _patient(facts: CallFacts) -> list[dict[str, Any]]:
    if facts.patient_id is None:
        return []
    return [{"what": {"reference": f"Patient/{facts.patient_id}"}, "type": _PERSON, "role": _PATIENT_ROLE}]


def _query(facts: CallFacts) -> dict[str, Any]:
    said = {
        "requestId": facts.request_id,
        "hookInstance": facts.hook_instance,
        "tenant": facts.caller.tenant,
        "verdict": facts.verdict,
    }
    detail = [{"type": name, "valueString": value} for name, value in said.items() if value]
    return {"type": _SYSTEM_OBJECT, "role": _QUERY_ROLE, "name": facts.service, "detail": detail}
