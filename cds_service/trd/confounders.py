"""What may mimic resistance, or stand in the way of judging it: named, to be checked first.

These are confounders and medical mimics by the table, pregnancy and the time after birth, psychotic
depression, and diagnoses that other definitions exclude. None of them changes a verdict.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from cds_service.trd.answers import Answer, Finding, all_of
from cds_service.trd.parameters import Definition
from cds_service.trd.record import Diagnosis, DiagnosisRole, History


def find_confounders(history: History, definition: Definition, on: date) -> tuple[Finding, ...]:
    """Each confounder on record, with the Conditions it rests on: one a category, the newest first.

    Met when it is certain and current, unknown when it is only suspected or may be over; what is refuted, is
    over, or was recorded after `on` is not named.
    """
    by_category: dict[str, list[Diagnosis]] = defaultdict(list)
    for diagnosis in history.diagnoses:
        is_known = diagnosis.recorded is None or diagnosis.recorded <= on
        if is_known and _is_to_check(diagnosis, definition) and _answer(diagnosis, definition) is not NO:
            by_category[diagnosis.category].append(diagnosis)
    newest_first = sorted(by_category.values(), key=_newest, reverse=True)
    return tuple(_finding(diagnoses, definition) for diagnoses in newest_first)


NO = Answer.NOT_MET


def _is_to_check(diagnosis: Diagnosis, definition: Definition) -> bool:
    """What this definition excludes is a reason for its verdict already, a remission no confounder."""
    if diagnosis.check_first is None or diagnosis.role is DiagnosisRole.FULL_REMISSION:
        return False
    return diagnosis.category not in definition.exclusions


def _answer(diagnosis: Diagnosis, definition: Definition) -> Answer:
    """Whether the person has it now; what would exclude for life does not pass."""
    is_lasting = diagnosis.role is DiagnosisRole.EXCLUSION
    if is_lasting and diagnosis.category not in definition.passing_exclusions:
        return diagnosis.holds
    return all_of((diagnosis.holds, diagnosis.is_current))


def _newest(diagnoses: Sequence[Diagnosis]) -> date:
    return max(diagnosis.recorded or date.min for diagnosis in diagnoses)


def _finding(diagnoses: Sequence[Diagnosis], definition: Definition) -> Finding:
    """The newest that is certain, else the newest; the evidence names the others as well."""
    ordered = sorted(
        diagnoses,
        key=lambda d: (_answer(d, definition) is Answer.MET, d.recorded or date.min, d.reference),
        reverse=True,
    )
    first = ordered[0]
    assert first.check_first is not None
    day = f"recorded {first.recorded}" if first.recorded else "recorded, day not known"
    text = f"{first.text}, {day}{_doubt(first, definition)}: {first.check_first.why}"
    evidence = tuple(dict.fromkeys(diagnosis.reference for diagnosis in ordered))
    return Finding(first.check_first.name, _answer(first, definition), text, evidence)


def _doubt(diagnosis: Diagnosis, definition: Definition) -> str:
    if diagnosis.holds is Answer.UNKNOWN:
        return ", suspected and not confirmed"
    return ", may be over" if _answer(diagnosis, definition) is Answer.UNKNOWN else ""
