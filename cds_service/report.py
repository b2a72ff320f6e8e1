"""Assessment → the JSON object of the public contract (`schemas/assessment.json`), and the sentences in it."""

from __future__ import annotations

from typing import Any

from cds_service.trd.agreement import needed
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.model import (
    Assessment,
    Companion,
    CompanionKind,
    JudgedTrial,
    Judgement,
    NextStep,
    OtherView,
    Staging,
)
from cds_service.trd.record import Measurement, Prescription, Unread

EXTENSION_KEY = "org.trd-cds.assessment"


def assessment_json(assessment: Assessment) -> dict[str, Any]:
    """The assessment as plain JSON values. Keys without a value are left out; lists may be empty.

    Days are ISO dates and inclusive; doses are mg per day; percentages have one decimal.
    """
    definition = assessment.definition
    return {
        "patient": assessment.patient,
        "on": assessment.on.isoformat(),
        "definition": {
            "id": definition.id,
            "version": definition.version,
            "title": definition.title,
            **({"contentHash": definition.content_hash} if definition.content_hash else {}),
        },
        "verdict": assessment.verdict.value,
        "failedTrials": {
            "atLeast": assessment.failed_at_least,
            "atMost": assessment.failed_at_most,
            "needed": _whole(needed(definition)),
        },
        "reasons": [{"criterion": reason.criterion, **_finding(reason)} for reason in assessment.reasons],
        "trials": [_trial(judged) for judged in assessment.trials],
        "missing": [{"what": m.what, "why": m.why, "ask": m.ask} for m in assessment.missing],
        "unread": _problems(assessment.unread),
        "setAside": _problems(assessment.set_aside),
        **({"notLookedAt": list(assessment.not_looked_at)} if assessment.not_looked_at else {}),
        **({"assumed": list(assessment.assumed)} if assessment.assumed else {}),
        **({"openRequests": _open_requests(assessment)} if assessment.open_requests else {}),
        "safety": _finding(assessment.safety),
        "checkFirst": [_finding_named(finding) for finding in assessment.check_first],
        "context": [_measurement(measurement) for measurement in assessment.context],
        "residualImpairment": [_finding_named(finding) for finding in assessment.residual_impairment],
        "otherDefinitions": {id_: verdict.value for id_, verdict in assessment.other_verdicts},
        "differences": {
            view.definition_id: view.difference for view in assessment.other_views if view.difference
        },
        "staging": {staging.method: _staging(staging) for staging in assessment.staging},
        **({"stage": assessment.stage} if assessment.stage else {}),
        "nextSteps": [_next_step(step) for step in assessment.next_steps],
        "filledByProject": dict(definition.filled),
    }


def all_views(assessment: Assessment) -> tuple[OtherView, ...]:
    """What every definition says, the chosen one first."""
    chosen = Judgement(
        assessment.definition,
        assessment.verdict,
        assessment.failed_at_least,
        assessment.failed_at_most,
        assessment.reasons,
        assessment.trials,
    )
    return (OtherView(chosen), *assessment.other_views)


def all_definitions_json(assessment: Assessment) -> list[dict[str, Any]]:
    """Each definition with its verdict, criteria and why it differs, the chosen one first.

    `failedTrials` holds what the definition counts: failed trials, treatments, or points of a staging score.
    """
    return [_view(view) for view in all_views(assessment)]


def _view(view: OtherView) -> dict[str, Any]:
    judgement = view.judgement
    return {
        "id": judgement.definition.id,
        "title": judgement.definition.title,
        "verdict": judgement.verdict.value,
        "failedTrials": {
            "atLeast": judgement.failed_at_least,
            "atMost": judgement.failed_at_most,
            "needed": _whole(needed(judgement.definition)),
        },
        "reasons": [{"criterion": reason.criterion, **_finding(reason)} for reason in judgement.reasons],
        "difference": view.difference,
    }


def _whole(number: float) -> float | int:
    return int(number) if number == int(number) else number


def _finding_named(finding: Finding) -> dict[str, Any]:
    return {"about": finding.criterion, "text": finding.text, "evidence": list(finding.evidence)}


def _measurement(measurement: Measurement) -> dict[str, Any]:
    optional = {"unit": measurement.unit, "use": measurement.use}
    return {
        "name": measurement.name,
        "domain": measurement.domain.value,
        "day": measurement.day.isoformat(),
        "value": measurement.value,
        **{key: value for key, value in optional.items() if value},
        "evidence": [measurement.reference],
    }


def _open_requests(assessment: Assessment) -> list[dict[str, Any]]:
    return [
        {
            "about": request.request,
            "text": request.said,
            "status": request.status,
            **({"written": request.written} if request.written else {}),
            "open": request.holds.value,
            "evidence": [request.reference],
        }
        for request in assessment.open_requests
    ]


def _staging(staging: Staging) -> dict[str, Any]:
    return {
        "title": staging.title,
        "low": {"points": staging.low, "text": staging.low_text},
        "high": {"points": staging.high, "text": staging.high_text},
        "items": [
            {
                "name": item.name,
                "low": item.low,
                "high": item.high,
                "text": item.text,
                "evidence": list(item.evidence),
            }
            for item in staging.items
        ],
        "source": staging.source,
        **({"note": staging.note} if staging.note else {}),
    }


def _next_step(step: NextStep) -> dict[str, Any]:
    return {
        "option": step.option,
        "kind": step.kind,
        "level": step.level,
        "isContraindicated": step.is_contraindicated,
        "cautions": [_finding_named(caution) for caution in step.cautions],
    }


def _companion(companion: Companion) -> dict[str, Any]:
    days = {"firstDay": companion.first_day, "lastDay": companion.last_day}
    dose = {"dose": companion.dose} if companion.dose else {}
    return {
        "kind": companion.kind.value,
        "name": companion.name,
        **dose,
        **{key: day.isoformat() for key, day in days.items() if day},
        "overlapDays": companion.overlap_days,
        "adequate": companion.adequate.answer.value,
        "text": companion.adequate.text,
        "evidence": list(companion.adequate.evidence),
    }


def without_empty(value: Any) -> Any:
    """The same JSON value without empty strings, lists and objects: CDS Hooks replies carry none (CH-004)."""
    # Most values are texts and numbers, which need no call of their own.
    if isinstance(value, dict):
        kept = {}
        for key, item in value.items():
            left = without_empty(item) if type(item) in _HOLDERS else item
            if left or left == 0:
                kept[key] = left
        return kept
    if isinstance(value, list):
        filled = []
        for item in value:
            left = without_empty(item) if type(item) in _HOLDERS else item
            if left or left == 0:
                filled.append(left)
        return filled
    return value


_HOLDERS = (dict, list)


def _finding(finding: Finding) -> dict[str, Any]:
    return {"answer": finding.answer.value, "text": finding.text, "evidence": list(finding.evidence)}


def _problems(problems: tuple[Unread, ...]) -> list[dict[str, str]]:
    return [{"reference": unread.reference, "problem": unread.problem} for unread in problems]


def _trial(judged: JudgedTrial) -> dict[str, Any]:
    trial, outcome, drug = judged.trial, judged.outcome, judged.trial.drug
    baseline, last = outcome.baseline, outcome.last
    dose = {"max": trial.max_mg, "minimumAdequate": trial.minimum_mg}
    optional = {
        "ingredient": drug.ingredient if drug else None,
        "rxcui": drug.rxcui if drug else None,
        "class": drug.drug_class if drug else None,
        "firstDay": trial.first_day.isoformat() if trial.first_day else None,
        "lastDay": trial.last_day.isoformat() if trial.last_day else None,
        "improvementPercent": _rounded(outcome.improvement_percent),
        "baseline": {"scale": baseline.scale.name, "day": baseline.day.isoformat(), "value": baseline.value}
        if baseline
        else None,
        "last": {"scale": last.scale.name, "day": last.day.isoformat(), "value": last.value}
        if last
        else None,
        "longEnoughOn": trial.long_enough_on.isoformat() if trial.long_enough_on else None,
        "judgeableFrom": outcome.judgeable_from.isoformat() if outcome.judgeable_from else None,
        "hasWorsened": True if outcome.has_worsened else None,
    }
    return {
        "kind": trial.kind.value,
        "name": trial.name,
        **{key: value for key, value in optional.items() if value is not None},
        "adequateDays": trial.adequate_days,
        "doseMgPerDay": {key: value for key, value in dose.items() if value is not None},
        "use": trial.use.answer.value,
        "dose": trial.dose.answer.value,
        "duration": trial.duration.answer.value,
        "adherence": trial.adherence.answer.value,
        **({"assumed": list(trial.assumed)} if trial.assumed else {}),
        "inScope": judged.in_scope.answer.value,
        "outcome": outcome.response.value,
        "failed": judged.failed.answer.value,
        "text": trial_sentence(judged),
        "evidence": list(dict.fromkeys((*trial.exposure.evidence, *outcome.insufficient.evidence))),
        "beside": [_companion(companion) for companion in judged.companions],
        "orders": [_order(order) for order in trial.exposure.prescriptions],
    }


def _order(order: Prescription) -> dict[str, Any]:
    """What one order says, or a dispensing, statement or administration of days that no order covers."""
    more = {
        "beside": list(order.supported_by),
        "assumed": order.assumed,
        "drugNamedBy": order.named_by,
    }
    return {
        "reference": order.reference,
        "source": order.source.value,
        "dose": order.dose_text,
        "days": order.days_text,
        **{key: value for key, value in more.items() if value},
    }


def _rounded(percent: float | None) -> float | None:
    return None if percent is None else round(percent, 1) + 0.0


def trial_sentence(judged: JudgedTrial) -> str:
    """One sentence a clinician can check: drug, days, and why it counts or does not."""
    trial = judged.trial
    days = f"{trial.adequate_days} adequate days"
    if trial.first_day and trial.last_day:
        days += f" {trial.first_day} to {trial.last_day}"
    verdict = {
        Answer.MET: "a failed trial",
        Answer.NOT_MET: "not a failed trial",
        Answer.UNKNOWN: "may be a failed trial",
    }[judged.failed.answer]
    taken = f"; {trial.adherence.text}" if trial.adherence.answer is Answer.MET else ""
    named_by = f"; drug named by {', '.join(trial.exposure.named_by)}" if trial.exposure.named_by else ""
    beside = "".join(f"; {_beside(companion)}" for companion in judged.companions)
    return (
        f"{trial.name or 'unnamed drug'}, {days}: {verdict} ({judged.failed.text}{taken}){named_by}{beside}"
    )


def _beside(companion: Companion) -> str:
    """ "with lithium 900 mg/day 2025-10-01 to 2025-12-01 (62 days, adequate augmentation)"."""
    kind, adequate = companion.kind.value, companion.adequate
    dose = f" {companion.dose}" if companion.dose else ""
    days = f" {companion.first_day} to {companion.last_day}" if companion.first_day else ""
    number = companion.overlap_days
    coincide = f"{number} day{'' if number == 1 else 's'}" if number else "days not recorded"
    shown = {
        Answer.MET: f"adequate {kind}",
        Answer.UNKNOWN: f"whether adequate {kind} is not known: {adequate.text}",
        Answer.NOT_MET: f"no adequate {kind}: {adequate.text}",
    }[adequate.answer]
    if companion.kind is CompanionKind.CROSS_TAPER:
        shown = kind
    return f"with {companion.name}{dose}{days} ({coincide}, {shown})"
