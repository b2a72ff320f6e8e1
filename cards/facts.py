"""What makes two cards the same: a hash of the facts that a card rests on.

Facts are what was recorded and what follows from it, never today's date, a reference that is new at every visit,
or a wording of ours: so nothing of them changes from one day to the next while nothing new is recorded, unless
the passing of time itself changes an answer (a running trial that becomes long enough).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from hashlib import sha256

from cds_service.trd.answers import Answer
from cds_service.trd.model import Assessment, CompanionKind, JudgedTrial, Missing, Response

_DAY = r"\d{4}-\d\d-\d\d"
_WHEN = re.compile(rf"(between |on or after |after )?{_DAY}( and {_DAY})?")
_ADDED_ON_PURPOSE = (CompanionKind.AUGMENTATION, CompanionKind.NEUROMODULATION, CompanionKind.PSYCHOTHERAPY)


def hashed(parts: Iterable[object]) -> str:
    """A hash of texts, numbers and days, in their order; the same in every process."""
    return sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()


def of_trials(assessment: Assessment) -> tuple[object, ...]:
    """Which drugs were tried, which of them failed or may have, with what effect, and what was added.

    How long a trial was is no fact of its own: an order that only lengthens one changes nothing.
    """
    drugs = sorted({judged.trial.agent for judged in assessment.trials})
    counting = sorted(str(_effect(judged)) for judged in assessment.trials if _may_have_failed(judged))
    added = {
        companion.agent or companion.name
        for judged in assessment.trials
        for companion in judged.companions
        if companion.kind in _ADDED_ON_PURPOSE
    }
    return (assessment.definition.id, assessment.verdict.value, drugs, counting, sorted(added))


def failed_trials(assessment: Assessment) -> str:
    """A hash of which trials failed or may have, whatever the scores said."""
    counting = [judged for judged in assessment.trials if _may_have_failed(judged)]
    return hashed(sorted(f"{judged.trial.agent} {judged.failed.answer.value}" for judged in counting))


def diagnoses(assessment: Assessment) -> str:
    """A hash of the diagnoses of depression and of what excludes; the same one recorded again adds nothing."""
    return hashed(
        sorted(
            {
                f"{d.role.value} {d.category} {d.severity} {d.holds.value} {d.is_current.value}"
                for d in assessment.diagnoses
            }
        )
    )


def asked(missing: Iterable[Missing]) -> list[str]:
    """What is missing, without days: those of a running trial move on with today."""
    return sorted({_WHEN.sub("", item.what) for item in missing})


def _may_have_failed(judged: JudgedTrial) -> bool:
    return judged.failed.answer is not Answer.NOT_MET


def _effect(judged: JudgedTrial) -> tuple[object, ...]:
    outcome = judged.outcome
    response = Response.UNKNOWN if outcome.response is Response.ONGOING else outcome.response
    percent = None if outcome.improvement_percent is None else round(outcome.improvement_percent, 1)
    return (judged.trial.agent, judged.failed.answer.value, response.value, percent)
