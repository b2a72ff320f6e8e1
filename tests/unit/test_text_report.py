"""An assessment as plain text: what is said, in which order, and nothing where there is nothing to say."""

from __future__ import annotations

from datetime import date

import pytest

from cds_service.text_report import assessment_text
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.model import (
    Assessment,
    NextStep,
    Staging,
    StagingItem,
)
from cds_service.trd.record import Domain, Measurement, OpenRequest
from tests.spec.assessments import SUICIDALITY, an_assessment

HYPOTHYROIDISM = Finding("hypothyroidism", Answer.MET, "Hypothyroidism is on record", ("Condition/3",))
WORK = Finding("function", Answer.MET, "WSAS 22 on 2026-06-01, at most 9 unimpaired", ("Observation/4",))
ITEMS = (StagingItem("failures", 1, 2, "1 to 3 failed trials"), StagingItem("ECT", 0, 0, "no ECT on record"))
MSM = Staging("msm", "Maudsley Staging Method", 6, 8, "mild", "moderate", ITEMS, "a journal")
UNNAMED = Staging("mgh-s", "MGH staging", 1, 2.5, "1 points", "2.5 points", (), "a journal")
VALUES = (
    Measurement("WSAS", Domain.FUNCTION, date(2026, 6, 1), 22, "{score}", "Observation/4"),
    Measurement("TSH", Domain.LABORATORY, date(2026, 5, 1), 2.5, "mU/L", "Observation/5"),
)
SEIZURES = Finding("caution", Answer.UNKNOWN, "Epilepsy is mentioned", ("Condition/9",))
ALLERGY = Finding("contraindication", Answer.MET, "a reaction is on record", ("AllergyIntolerance/1",))
STEPS = (
    NextStep("Referral", "referral", "recommend", label="referral to psychiatry"),
    NextStep("Questionnaire", "instrument", "recommend", label="MGH-ATRQ"),
    NextStep("ECT", "procedure", "specialist to decide", (SEIZURES,), label="ECT"),
    NextStep("Esketamine", "drug", "specialist to decide", (ALLERGY,), True, label="esketamine"),
    NextStep("Psilocybin", "drug", "research only", label="psilocybin", is_shown=False),
)

ASKED = OpenRequest(
    "psychiatry-referral",
    "referral to psychiatry",
    "ServiceRequest/7",
    "active",
    date(2026, 5, 2),
    "2026-05-02",
    Answer.MET,
)
UNDATED = OpenRequest("phq-9", "PHQ-9", "ServiceRequest/8", "draft", None, "", Answer.UNKNOWN)

SECTIONS = [
    # what the assessment holds, the section
    (
        {"open_requests": (ASKED, UNDATED)},
        [
            "Asked for already",
            "  referral to psychiatry: active, 2026-05-02 (ServiceRequest/7)",
            "  perhaps PHQ-9: draft, no date (ServiceRequest/8)",
        ],
    ),
    ({"check_first": (HYPOTHYROIDISM,)}, ["Check first", "  Hypothyroidism is on record (Condition/3)"]),
    (
        {"residual_impairment": (WORK,)},
        ["Residual impairment", "  WSAS 22 on 2026-06-01, at most 9 unimpaired (Observation/4)"],
    ),
    (
        {"staging": (MSM, UNNAMED)},
        [
            "Staging",
            "  Maudsley Staging Method 6 to 8 (mild to moderate): failures 1 to 2 (1 to 3 failed trials); "
            "ECT 0 (no ECT",
            "    on record)",
            "  MGH staging 1 to 2.5",
        ],
    ),
    (
        {"context": VALUES},
        ["Beyond mood, which changes no answer", "  WSAS 22 on 2026-06-01", "  TSH 2.5 mU/L on 2026-05-01"],
    ),
    (
        {"next_steps": STEPS, "stage": "treatment-resistant"},
        [
            "Options at the stage treatment-resistant, nothing is ordered",
            "  not pointed to: esketamine (contraindication, a reaction is on record (AllergyIntolerance/1))",
            "  recommend: referral to psychiatry, MGH-ATRQ",
            "  specialist to decide: ECT",
            "  ECT: possible caution, Epilepsy is mentioned (Condition/9)",
        ],
    ),
]


def sections(assessment: Assessment) -> list[list[str]]:
    """The lines below the verdict, cut at each title, without their first indentation."""
    found: list[list[str]] = []
    for line in assessment_text(assessment).splitlines()[2:]:
        if line.startswith("    "):
            found[-1].append(line[2:])
        else:
            found.append([line.strip()])
    return found


@pytest.mark.parametrize(("given", "section"), SECTIONS)
def test_each_has_a_section_of_its_own(given: dict[str, object], section: list[str]) -> None:
    assert section in sections(an_assessment(**given))


def test_where_there_is_nothing_to_say_there_is_no_title() -> None:
    assert [section[0] for section in sections(an_assessment())] == ["Safety", "Trials"]


def test_safety_comes_first_and_what_to_check_before_the_trials() -> None:
    everything = {key: value for given, _ in SECTIONS for key, value in given.items()}
    assessment = an_assessment(**everything, safety=SUICIDALITY)
    titles = [section[0].partition(",")[0] for section in sections(assessment)]
    assert titles == [
        *("Safety", "Check first", "Trials", "Residual impairment", "Asked for already"),
        *("Staging", "Beyond mood", "Options at the stage treatment-resistant"),
    ]
    assert sections(assessment)[0][1] == "  met (PHQ-9 item 9 answered 2 on 2026-06-20)"
