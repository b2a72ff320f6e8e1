"""Random histories for the properties of the specs: every kind of doubt, few drugs, so that trials meet."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import strategies as st

from cds_service.trd.answers import Answer, Finding
from cds_service.trd.record import (
    DiagnosisRole,
    DoseSegment,
    History,
    Prescription,
    Reaction,
    StopReason,
    Topic,
    Unread,
    UnreadScore,
)
from tests.conftest import ON
from tests.spec.people import DRUGS, MADRS, PHQ9, diagnosis, scores

days = st.integers(0, 900).map(lambda ago: ON - timedelta(ago))
answers = st.sampled_from(Answer)


@st.composite
def prescriptions(draw: st.DrawFn) -> Prescription:
    first = draw(days)
    last = min(ON, first + timedelta(draw(st.integers(0, 150))))
    middle = first + (last - first) // 2
    low, high = draw(st.sampled_from([(200.0, 200.0), (10.0, 10.0), (10.0, 300.0), (None, None)]))
    parts = [(first, middle), (middle + timedelta(1), last)] if middle < last else [(first, last)]
    segments = tuple(
        DoseSegment(a, b, low, high, draw(st.sampled_from([True, True, False]))) for a, b in parts
    )
    name = draw(st.sampled_from(["sertraline", "venlafaxine", "bupropion", "tablet"]))
    return Prescription(
        reference=f"MedicationRequest/{draw(st.integers(1, 99))}",
        drug=DRUGS.get(name),
        name=name,
        segments=segments,
        treats_depression=Finding("use", draw(st.sampled_from([Answer.MET, Answer.MET, *Answer])), "its use"),
        stop_reason=draw(st.sampled_from(StopReason)),
        authored=first,
    )


@st.composite
def histories(draw: st.DrawFn) -> History:
    some_scores = st.lists(st.tuples(days.map(date.isoformat), st.integers(0, 27).map(float)), max_size=6)
    spans = st.lists(st.tuples(days, days).map(sorted), max_size=2)
    born = draw(st.sampled_from([date(1980, 1, 1), None]))
    return History(
        "Patient/p1",
        prescriptions=tuple(draw(st.lists(prescriptions(), max_size=5))),
        scores=scores(*draw(some_scores)) + scores(*draw(some_scores), scale=MADRS),
        unread_scores=tuple(
            UnreadScore(f"Observation/u{n}", draw(st.sampled_from([PHQ9, None])), first, last)
            for n, (first, last) in enumerate(draw(spans))
        ),
        diagnoses=tuple(
            diagnosis(role, category, draw(days).isoformat(), draw(answers), draw(answers))
            for role, category in draw(
                st.lists(
                    st.sampled_from(
                        [
                            (DiagnosisRole.DEPRESSION, "mdd"),
                            (DiagnosisRole.FULL_REMISSION, "mdd_remission"),
                            (DiagnosisRole.EXCLUSION, "bipolar"),
                        ]
                    ),
                    max_size=3,
                )
            )
        ),
        born_earliest=born,
        born_latest=born,
        unread=tuple(
            Unread(f"X/{topic.value}", "not readable", (topic,))
            for topic in draw(
                st.lists(st.sampled_from([Topic.DRUG, Topic.DRUGS, Topic.DIAGNOSIS]), max_size=1)
            )
        ),
        reactions=tuple(
            Reaction("sertraline", "nausea", draw(st.none() | days), draw(answers), f"AdverseEvent/{n}")
            for n in range(draw(st.integers(0, 2)))
        ),
    )
