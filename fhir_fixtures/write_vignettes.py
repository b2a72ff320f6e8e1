"""Writes `vignettes/<NN>-<slug>/` from `stories.json`: `python -m fhir_fixtures.write_vignettes`.

The story is the truth: drugs, mg per day, first and last day, scores, answers. Each `vignette_NN` below
charts one story the way some record system does; its docstring is the `encoding` that a reader of
`expected.json` sees. Tests read the files, never this module.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from fhir_fixtures.builders import (
    ATC,
    DMD,
    DRUG_FORM,
    ICD_10_CM,
    LOINC,
    PHQ9_ITEMS,
    PHQ9_PANEL,
    RXNORM,
    SNOMED_CT,
    TIMING_CODE,
    Concept,
    bundle,
    concept,
    condition,
    medication,
    medication_request,
    observation,
    patient,
    quantity,
    score,
)
from fhir_fixtures.references import address_of, with_references_renamed

Resource = dict[str, Any]

HERE = Path(__file__).parent
PHQ9_TOTAL = (LOINC, "44261-6", "Patient Health Questionnaire 9 item (PHQ-9) total score [Reported]")
PHQ9_ANSWERS = ("LA6568-5", "LA6569-3", "LA6570-1", "LA6571-9")
RECURRENT_MODERATE = (ICD_10_CM, "F33.1", "Major depressive disorder, recurrent, moderate")
RECURRENT_MODERATE_SNOMED = (SNOMED_CT, "18818009", "Moderate recurrent major depression (disorder)")
STATUS_REASON = "http://terminology.hl7.org/CodeSystem/medicationrequest-status-reason"
OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
CONDITION_CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"
DOSE_TYPE = "http://terminology.hl7.org/CodeSystem/dose-rate-type"
LOCAL_DRUG_CODES = "urn:oid:2.999.1.7"
SURVEY = [concept((OBSERVATION_CATEGORY, "survey"))]


# --- what a story says --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Story:
    """One invented patient, as `stories.json` tells it; also makes the resources every chart has."""

    told: dict[str, Any]

    @property
    def number(self) -> int:
        return int(self.told["id"])

    @property
    def orders(self) -> list[dict[str, Any]]:
        return list(self.told["orders"])

    @property
    def patient_id(self) -> str:
        return f"trd-v{self.number:02}"

    def id(self, what: str) -> str:
        return f"{self.patient_id}-{what}"

    def days(self, number: int) -> int:
        """How many days an order lasted, the first and the last included."""
        order = self.orders[number - 1]
        first, last = (date.fromisoformat(order[key]) for key in ("firstDay", "lastDay"))
        return (last - first).days + 1

    def person(self, birth_date: str | None = None) -> Resource:
        year = int(self.told["on"][:4]) - int(self.told["age"])
        return patient(
            self.patient_id,
            birth_date or f"{year}-03-15",
            name=[{"text": f"Vignette {self.number:02}"}],
            gender=self.told["sex"],
        )

    def depression(self, *codings: Concept, **elements: Any) -> Resource:
        coded = [concept(coding)["coding"][0] for coding in codings or (RECURRENT_MODERATE,)]
        recorded = self.told["depressionRecorded"]
        return condition(
            self.id("dx1"),
            {"coding": coded},
            **({"recorded": recorded, "patient_id": self.patient_id} | elements),
        )

    def order(self, number: int, drug: Concept | None, dosage: Any, **elements: Any) -> Resource:
        """The order with its days as `boundsPeriod`."""
        told = self.orders[number - 1]
        days = {"first_day": told["firstDay"], "last_day": told["lastDay"]}
        return self._order(number, drug, dosage, **(days | elements))

    def order_from(self, number: int, drug: Concept | None, dosage: Any, **elements: Any) -> Resource:
        """The order with only its first day, as `authoredOn`; the caller says how long it lasted."""
        days = {"first_day": self.orders[number - 1]["firstDay"], "last_day": None}
        return self._order(number, drug, dosage, **(days | {"status": "completed"} | elements))

    def _order(self, number: int, drug: Concept | None, dosage: Any, **elements: Any) -> Resource:
        return medication_request(
            self.id(f"rx{number}"), drug, dosage, patient_id=self.patient_id, **elements
        )

    def totals(self, **elements: Any) -> list[Resource]:
        """Each PHQ-9 total as one Observation."""
        return [self.result(number, PHQ9_TOTAL, **elements) for number in self.numbers_of_scores()]

    def numbers_of_scores(self) -> range:
        return range(1, len(self.told["scores"]) + 1)

    def total(self, number: int) -> int:
        return int(self.told["scores"][number - 1]["total"])

    def day(self, number: int) -> str:
        return str(self.told["scores"][number - 1]["day"])

    def result(self, number: int, code: Concept, **elements: Any) -> Resource:
        standard: Resource = {"value": self.total(number), "day": self.day(number), "category": SURVEY}
        return observation(self.id(f"phq{number}"), code, patient_id=self.patient_id, **(standard | elements))


@dataclass(frozen=True)
class Chart:
    """The resources of one patient and the Bundle they come in.

    `names` says how they refer to each other: `relative` (`Patient/x`), `absolute`, or `urn` (all but the
    patient, who is referred to as `Patient/x`).
    """

    resources: list[Resource]
    type: str = "collection"
    base_url: str | None = None
    names: str = "relative"
    safety: str = "unknown"


# --- how dosages are written --------------------------------------------------------------------------


def every(period: float = 1, unit: str = "d", frequency: int = 1, **repeat: Any) -> Resource:
    return {"timing": {"repeat": {"frequency": frequency, "period": period, "periodUnit": unit, **repeat}}}


def coded_timing(code: str, text: str | None = None) -> Resource:
    return {"timing": {"code": concept((TIMING_CODE, code)) | ({"text": text} if text else {})}}


def dose(amount: Resource, **dose_and_rate: Any) -> Resource:
    return {"doseAndRate": [{**dose_and_rate, "doseQuantity": amount}]}


def mg(value: float) -> Resource:
    return quantity(value, "mg", "mg")


def tablets(value: float) -> Resource:
    return quantity(value, "tablet", "{tbl}")


def capsules(value: float) -> Resource:
    return quantity(value, "capsule", "{capsule}")


def for_days(value: int) -> Resource:
    return quantity(value, "days", "d")


# --- what other things real charts hold ---------------------------------------------------------------


def bystanders(story: Story) -> list[Resource]:
    """A blood-pressure problem with its drug and a reading: nothing to do with depression."""
    of_patient = {"patient_id": story.patient_id}
    return [
        condition(
            story.id("dx9"),
            (SNOMED_CT, "59621000", "Essential hypertension (disorder)"),
            "2019-05-06",
            **of_patient,
        ),
        medication_request(
            story.id("rx9"),
            (RXNORM, "314076", "lisinopril 10 MG Oral Tablet"),
            {"text": "1 tablet daily", **every(), **dose(tablets(1))},
            "2019-05-06",
            **of_patient,
        ),
        observation(
            story.id("bp1"),
            (LOINC, "85354-9", "Blood pressure panel with all children optional"),
            None,
            "2026-01-20",
            **of_patient,
            category=[concept((OBSERVATION_CATEGORY, "vital-signs"))],
            component=[
                _pressure("8480-6", "Systolic blood pressure", 132),
                _pressure("8462-4", "Diastolic blood pressure", 81),
            ],
        ),
    ]


def _pressure(code: str, display: str, mm_hg: int) -> Resource:
    return {
        "code": concept((LOINC, code, display)),
        "valueQuantity": quantity(mm_hg, "mmHg", "mm[Hg]"),
    }


def items_of(total: int, item_9: int = 0) -> list[int]:
    """Nine answers from 0 to 3 that add up to the total."""
    left = total - item_9
    answers = []
    for _ in range(8):
        answers.append(min(3, left))
        left -= answers[-1]
    return [*answers, item_9]


# --- the charts ---------------------------------------------------------------------------------------


def vignette_01(story: Story) -> Chart:
    """US record: RxNorm product codes, tablets or capsules in UCUM annotations times frequency and period,
    boundsPeriod; PHQ-9 totals as valueQuantity; a blood-pressure problem beside it. Transaction Bundle."""
    ordered = {"type": concept((DOSE_TYPE, "ordered"))}
    sertraline = (RXNORM, "312938", "sertraline 100 MG Oral Tablet")
    venlafaxine = (RXNORM, "313581", "24 HR venlafaxine 150 MG Extended Release Oral Capsule")
    return Chart(
        [
            story.person(),
            story.depression(),
            story.order(1, sertraline, every() | dose(tablets(1), **ordered)),
            story.order(2, venlafaxine, every() | dose(capsules(1), **ordered)),
            *story.totals(),
            *bystanders(story),
        ],
        type="transaction",
    )


def vignette_02(story: Story) -> Chart:
    """RxNorm product codes with the dose only in the sig text; authoredOn with a time zone and
    expectedSupplyDuration in days; PHQ-9 totals as valueInteger filed under laboratory."""
    sertraline = (RXNORM, "312940", "sertraline 25 MG Oral Tablet")
    venlafaxine = (RXNORM, "313585", "24 HR venlafaxine 75 MG Extended Release Oral Capsule")
    laboratory = [concept((OBSERVATION_CATEGORY, "laboratory"))]
    return Chart(
        [
            story.person(),
            story.depression(),
            story.order_from(
                1,
                sertraline,
                "Take 1 tablet by mouth daily",
                authoredOn="2025-09-01T09:30:00-05:00",
                dispenseRequest={"expectedSupplyDuration": for_days(story.days(1))},
            ),
            story.order_from(
                2,
                venlafaxine,
                "Take 2 capsules by mouth every morning",
                authoredOn="2025-12-16T23:45:00-06:00",
                dispenseRequest={"expectedSupplyDuration": for_days(story.days(2))},
            ),
            *[
                story.result(n, PHQ9_TOTAL, value=None, valueInteger=story.total(n), category=laboratory)
                for n in story.numbers_of_scores()
            ],
        ]
    )


def vignette_03(story: Story) -> Chart:
    """European record: ATC codes with the dose in mg (UCUM), days from dispenseRequest.validityPeriod;
    PHQ-9 totals with effectiveInstant. Transaction Bundle."""

    def order(number: int, drug: Concept, dosage: Resource) -> Resource:
        told = story.orders[number - 1]
        valid = {"start": told["firstDay"], "end": told["lastDay"]}
        return story.order_from(number, drug, dosage, dispenseRequest={"validityPeriod": valid})

    return Chart(
        [
            story.person(),
            story.depression(),
            order(1, (ATC, "N06AB10", "escitalopram"), every() | dose(mg(10))),
            order(2, (ATC, "N06AX12", "bupropion"), every(frequency=2) | dose(mg(150))),
            *[
                story.result(n, PHQ9_TOTAL, day=None, effectiveInstant=f"{story.day(n)}T10:15:00.000+02:00")
                for n in story.numbers_of_scores()
            ],
        ],
        type="transaction",
    )


def vignette_04(story: Story) -> Chart:
    """UK record: dm+d product codes under the SNOMED CT and the dm+d address, uncoded units ("capsule",
    "tablet"), timing code QD; the problem coded in SNOMED CT only; PHQ-9 over an effectivePeriod."""
    fluoxetine = (SNOMED_CT, "321949006", "Fluoxetine 20mg capsules")
    citalopram = (DMD, "321991008", "Citalopram 40mg tablets")
    return Chart(
        [
            story.person(),
            story.depression(RECURRENT_MODERATE_SNOMED),
            story.order(1, fluoxetine, coded_timing("QD") | dose(quantity(2, "capsule"))),
            story.order(2, citalopram, coded_timing("QD", "once daily") | dose(quantity(1, "tablet"))),
            *[
                story.result(
                    n,
                    PHQ9_TOTAL,
                    day=None,
                    effectivePeriod={"start": story.day(n), "end": story.day(n)},
                )
                for n in story.numbers_of_scores()
            ],
        ]
    )


def vignette_05(story: Story) -> Chart:
    """Text only: generic name with strength and a short sig ("1 tab po qd", "2 tabs po qAM"); bounds as
    dateTimes in a time zone; PHQ-9 without a category. Transaction Bundle."""
    return Chart(
        [
            story.person(),
            story.depression(),
            story.order(
                1,
                "citalopram 20 mg tablet",
                {"text": "1 tab po qd"},
                first_day="2025-09-01T00:00:00-05:00",
                last_day="2025-11-15T23:59:59-06:00",
            ),
            story.order(
                2,
                "Escitalopram 10 mg oral tablet",
                {"text": "2 tabs po qAM"},
                first_day="2025-11-16T00:00:00-06:00",
                last_day="2026-02-20T23:59:59-06:00",
            ),
            *story.totals(category=None),
        ],
        type="transaction",
    )


def vignette_06(story: Story) -> Chart:
    """Contained Medications with RxNorm product codes; dose 1 TAB or ERCAP of the HL7 drug forms, timing code
    QD; the PHQ-9 panel with the total as its component."""
    paroxetine_40 = (RXNORM, "1738511", "paroxetine hydrochloride 40 MG Oral Tablet")
    paroxetine_20 = (RXNORM, "1738495", "paroxetine hydrochloride 20 MG Oral Tablet")
    venlafaxine_75 = (RXNORM, "313585", "24 HR venlafaxine 75 MG Extended Release Oral Capsule")
    venlafaxine_150 = (RXNORM, "313581", "24 HR venlafaxine 150 MG Extended Release Oral Capsule")

    def order(number: int, drug: Concept, form: str) -> Resource:
        amount = quantity(1, form, form, DRUG_FORM)
        return story.order(
            number,
            None,
            coded_timing("QD") | dose(amount),
            contained=[medication("med", drug)],
            medicationReference={"reference": "#med"},
        )

    return Chart(
        [
            story.person(),
            story.depression(),
            order(1, paroxetine_40, "TAB"),
            order(2, paroxetine_20, "TAB"),
            order(3, venlafaxine_75, "ERCAP"),
            order(4, venlafaxine_150, "ERCAP"),
            *[
                story.result(
                    n,
                    PHQ9_PANEL,
                    value=None,
                    component=[{"code": concept(PHQ9_TOTAL), "valueQuantity": score(story.total(n))}],
                )
                for n in story.numbers_of_scores()
            ],
        ]
    )


def vignette_07(story: Story) -> Chart:
    """Medications as entries of their own, by relative reference; days as authoredOn and boundsDuration; the
    stopped order carries a coded statusReason (sintol) with its text. Transaction Bundle."""
    duloxetine = (RXNORM, "596934", "duloxetine 60 MG Delayed Release Oral Capsule")
    sertraline = (RXNORM, "312938", "sertraline 100 MG Oral Tablet")

    def order(number: int, amount: Resource, **elements: Any) -> Resource:
        dosage = every(boundsDuration=for_days(story.days(number))) | dose(amount)
        reference = {"reference": f"Medication/{story.id(f'med{number}')}"}
        return story.order_from(number, None, dosage, medicationReference=reference, **elements)

    vomiting = concept((STATUS_REASON, "sintol")) | {"text": "Vomiting since the first days, not tolerated"}
    return Chart(
        [
            story.person(),
            medication(story.id("med1"), duloxetine),
            medication(story.id("med2"), sertraline),
            story.depression(RECURRENT_MODERATE, RECURRENT_MODERATE_SNOMED),
            order(1, capsules(1), status="stopped", statusReason=vomiting),
            order(2, tablets(1)),
            *story.totals(),
        ],
        type="transaction",
    )


def vignette_08(story: Story) -> Chart:
    """Pharmacy record: the days follow from the quantity supplied (41 and 46 tablets; 44 tablets with one
    repeat) at one a day from authoredOn; product codes from RxNorm; a blood-pressure problem beside it."""
    sertraline = (RXNORM, "312938", "sertraline 100 MG Oral Tablet")
    mirtazapine = (RXNORM, "314111", "mirtazapine 30 MG Oral Tablet")

    def supplied(tablet_count: int, **more: int) -> Resource:
        return {"quantity": quantity(tablet_count, "tablet", "{tbl}")} | more

    one_a_day = every() | dose(tablets(1))
    twice_44 = supplied(44, numberOfRepeatsAllowed=1)
    return Chart(
        [
            story.person(),
            story.depression(),
            story.order_from(1, sertraline, one_a_day, dispenseRequest=supplied(41)),
            story.order_from(2, sertraline, one_a_day, dispenseRequest=supplied(46)),
            story.order_from(3, mirtazapine, one_a_day, dispenseRequest=twice_44),
            *story.totals(),
            *bystanders(story),
        ]
    )


def vignette_09(story: Story) -> Chart:
    """RxNorm ingredient codes (no strength) with the dose in mg; expectedSupplyDuration; mirtazapine at
    `when` HS. Transaction Bundle."""
    sertraline = (RXNORM, "36437", "sertraline")
    mirtazapine = (RXNORM, "15996", "mirtazapine")

    def order(number: int, drug: Concept, dosage: Resource) -> Resource:
        supply = {"expectedSupplyDuration": for_days(story.days(number))}
        return story.order_from(number, drug, dosage, dispenseRequest=supply)

    return Chart(
        [
            story.person(),
            story.depression(),
            order(1, sertraline, every() | dose(mg(100))),
            order(2, sertraline, every() | dose(mg(100))),
            order(3, mirtazapine, every(when=["HS"]) | dose(mg(30))),
            *story.totals(),
        ],
        type="transaction",
    )


def vignette_10(story: Story) -> Chart:
    """Every reference is an absolute address, also of the Medications; one and a half tablets, three capsules
    at once; the PHQ-9 as a panel of nine answered items without a total, item 9 answered 1 the last time."""
    sertraline = (RXNORM, "312938", "sertraline 100 MG Oral Tablet")
    venlafaxine = (RXNORM, "313585", "24 HR venlafaxine 75 MG Extended Release Oral Capsule")

    def order(number: int, dosage: Resource) -> Resource:
        reference = {"reference": f"Medication/{story.id(f'med{number}')}"}
        return story.order(number, None, dosage, medicationReference=reference)

    def panel(number: int) -> Resource:
        item_9 = 1 if number == 3 else 0
        answers = zip(PHQ9_ITEMS, items_of(story.total(number), item_9), strict=True)
        items = [{"code": concept(item), "valueInteger": answer} for item, answer in answers]
        return story.result(number, PHQ9_PANEL, value=None, component=items)

    return Chart(
        [
            story.person(),
            medication(story.id("med1"), sertraline),
            medication(story.id("med2"), venlafaxine),
            story.depression(),
            order(1, every() | dose(tablets(1.5))),
            order(2, every() | dose(capsules(3))),
            *[panel(number) for number in story.numbers_of_scores()],
        ],
        base_url="https://ehr.example.org/fhir",
        names="absolute",
        safety="met",
    )


def vignette_11(story: Story) -> Chart:
    """References by urn:uuid, to the Medications and between results; the patient by relative reference;
    sertraline split into 50 mg in the morning and 50 mg at bedtime as two dosage instructions; each PHQ-9 a
    panel whose hasMember is the total. Transaction Bundle."""
    fluoxetine = (RXNORM, "310385", "fluoxetine 20 MG Oral Capsule")
    sertraline = (RXNORM, "312941", "sertraline 50 MG Oral Tablet")
    told = story.orders[1]
    bounds: Resource = {"boundsPeriod": {"start": told["firstDay"], "end": told["lastDay"]}}
    morning, bedtime = (every(when=[when], **bounds) | dose(tablets(1)) for when in ("MORN", "HS"))

    def referring_to(what: str) -> Resource:
        return {"medicationReference": {"reference": f"Medication/{story.id(what)}"}}

    def panel(number: int) -> Resource:
        member = {"reference": f"Observation/{story.id(f'phq{number}')}"}
        return observation(
            story.id(f"panel{number}"),
            PHQ9_PANEL,
            None,
            story.day(number),
            story.patient_id,
            hasMember=[member],
        )

    return Chart(
        [
            story.person(),
            story.depression(recorded=None, onsetDateTime=story.told["depressionRecorded"]),
            medication(story.id("med1"), fluoxetine),
            medication(story.id("med2"), sertraline),
            story.order(1, None, every() | dose(capsules(1)), **referring_to("med1")),
            story.order_from(2, None, [morning, bedtime], **referring_to("med2")),
            *story.totals(),
            *[panel(number) for number in story.numbers_of_scores()],
        ],
        type="transaction",
        names="urn",
    )


def vignette_12(story: Story) -> Chart:
    """Two orders for sleep: trazodone with a coded reasonCode, active and without an end; mirtazapine whose
    sig says "at bedtime for sleep"; sertraline by product code, tablets a day."""
    trazodone = (RXNORM, "856377", "trazodone hydrochloride 50 MG Oral Tablet")
    sertraline = (RXNORM, "312938", "sertraline 100 MG Oral Tablet")
    mirtazapine = (RXNORM, "476809", "mirtazapine 7.5 MG Oral Tablet")
    insomnia = [concept((ICD_10_CM, "G47.00", "Insomnia, unspecified")) | {"text": "Insomnia"}]
    return Chart(
        [
            story.person(),
            story.depression(),
            story.order_from(
                1,
                trazodone,
                every(when=["HS"]) | dose(tablets(1)),
                status="active",
                reasonCode=insomnia,
            ),
            story.order(2, sertraline, every() | dose(tablets(1))),
            story.order(3, mirtazapine, {"text": "Take 1 tablet by mouth at bedtime for sleep"}),
            *story.totals(),
        ]
    )


def vignette_13(story: Story) -> Chart:
    """Two codings a drug, a local one and RxNorm; trazodone asNeeded; escitalopram as a doseRange with equal
    ends; the PHQ-9 panel has total and nine items, answered with LOINC answer codes. Transaction Bundle."""
    trazodone = (RXNORM, "856373", "trazodone hydrochloride 100 MG Oral Tablet")
    escitalopram = (RXNORM, "351250", "escitalopram 20 MG Oral Tablet")
    bupropion = (RXNORM, "993557", "24 HR bupropion hydrochloride 300 MG Extended Release Oral Tablet")
    one_tablet = {"doseAndRate": [{"doseRange": {"low": tablets(1), "high": tablets(1)}}]}

    def twice_coded(drug: tuple[str, str, str], local_code: str) -> Resource:
        local = concept((LOCAL_DRUG_CODES, local_code, drug[2].upper()))["coding"]
        return {"coding": local + concept(drug)["coding"], "text": drug[2]}

    def panel(number: int) -> Resource:
        answers = zip(PHQ9_ITEMS, items_of(story.total(number)), strict=True)
        total = {"code": concept(PHQ9_TOTAL), "valueInteger": story.total(number)}
        items = [
            {"code": concept(item), "valueCodeableConcept": concept((LOINC, PHQ9_ANSWERS[answer]))}
            for item, answer in answers
        ]
        return story.result(number, PHQ9_PANEL, value=None, component=[total, *items])

    return Chart(
        [
            story.person(),
            story.depression(),
            story.order(
                1,
                twice_coded(trazodone, "40311"),
                {"asNeededBoolean": True} | every() | dose(tablets(1)),
            ),
            story.order(2, twice_coded(escitalopram, "18254"), every() | one_tablet),
            story.order(3, twice_coded(bupropion, "22870"), every() | dose(tablets(1))),
            *[panel(number) for number in story.numbers_of_scores()],
        ],
        type="transaction",
        safety="not-met",
    )


def vignette_14(story: Story) -> Chart:
    """Amitriptyline as a UK product with a text-only reason (neuropathic pain), still active; duloxetine
    by brand name in text ("Cymbalta 60 mg capsule,delayed release"), its reason a reference to the
    depression."""
    amitriptyline = (SNOMED_CT, "321746008", "Amitriptyline 25mg tablets")
    reference = [{"reference": f"Condition/{story.id('dx1')}"}]
    return Chart(
        [
            story.person(),
            story.depression(),
            story.order(
                1,
                amitriptyline,
                {"text": "ONE tablet at night"},
                status="active",
                reasonCode=[{"text": "Neuropathic pain"}],
            ),
            story.order(
                2,
                "Cymbalta 60 mg capsule,delayed release",
                {"text": "Take 1 capsule (60 mg) by mouth daily"},
                reasonReference=reference,
            ),
            *story.totals(),
            *bystanders(story),
        ]
    )


def vignette_15(story: Story) -> Chart:
    """Sig text and structured dose side by side, agreeing: two 50 mg tablets a day, 75 mg twice a day; the
    later bipolar diagnosis as a second problem. Transaction Bundle."""
    sertraline = (RXNORM, "312941", "sertraline 50 MG Oral Tablet")
    venlafaxine = (RXNORM, "313586", "venlafaxine 75 MG Oral Tablet")
    bipolar = (ICD_10_CM, "F31.32", "Bipolar disorder, current episode depressed, moderate")
    problem = [concept((CONDITION_CATEGORY, "problem-list-item"))]
    return Chart(
        [
            story.person(),
            story.depression(category=problem),
            condition(story.id("dx2"), bipolar, "2025-12-01", story.patient_id, category=problem),
            story.order(
                1, sertraline, {"text": "Take 2 tablets by mouth daily"} | every() | dose(tablets(2))
            ),
            story.order(
                2,
                venlafaxine,
                {"text": "Take 1 tablet by mouth twice daily"} | every(frequency=2) | dose(tablets(1)),
            ),
            *story.totals(),
        ],
        type="transaction",
    )


def vignette_16(story: Story) -> Chart:
    """Hospital record: a period of 24 hours, a timeOfDay, units without a code; RxNorm products; the birth
    date only to the month; no PHQ-9 at all, but a blood-pressure problem with its reading."""
    citalopram = (RXNORM, "309314", "citalopram 40 MG Oral Tablet")
    venlafaxine = (RXNORM, "808744", "24 HR venlafaxine 150 MG Extended Release Oral Tablet")
    mirtazapine = (RXNORM, "311725", "mirtazapine 15 MG Oral Tablet")
    at_eight = {"timing": {"repeat": {"timeOfDay": ["08:00:00"]}}}
    return Chart(
        [
            story.person("1978-02"),
            story.depression(),
            story.order(1, citalopram, every(24, "h") | dose(quantity(1, "TAB"))),
            story.order(2, venlafaxine, at_eight | dose(quantity(1, "tablet(s)"))),
            story.order(3, mirtazapine, every() | dose(quantity(2, "tabs"))),
            *bystanders(story),
        ]
    )


def vignette_17(story: Story) -> Chart:
    """Why the orders were stopped is text only ("Inadequate response ...", "Lack of efficacy"); one drug as
    an RxNorm ingredient with mg, one as brand text with a patientInstruction. Transaction Bundle."""
    return Chart(
        [
            story.person(),
            story.depression(),
            story.order(
                1,
                (RXNORM, "2556", "citalopram"),
                coded_timing("QD") | dose(mg(40)),
                status="stopped",
                statusReason={"text": "Inadequate response after 15 weeks"},
            ),
            story.order(
                2,
                "Effexor XR 150 mg capsule, extended release",
                {"patientInstruction": "Take one capsule by mouth every morning with food"},
                status="stopped",
                statusReason={"text": "Lack of efficacy"},
            ),
        ],
        type="transaction",
    )


def vignette_18(story: Story) -> Chart:
    """Branded products only (RxNorm SBD 208149 and 615186), the brand in the text, the sig in words; RxNorm
    given as urn:oid for the second."""
    zoloft = concept((RXNORM, "208149")) | {"text": "Zoloft 100 mg tablet"}
    cymbalta = concept(("urn:oid:2.16.840.1.113883.6.88", "615186")) | {"text": "Cymbalta 60 mg capsule"}
    return Chart(
        [
            story.person(),
            story.depression(),
            story.order(1, zoloft, {"text": "one tablet every morning"}),
            story.order(2, cymbalta, {"text": "Take one capsule once a day"}),
            *story.totals(),
        ]
    )


def vignette_19(story: Story) -> Chart:
    """An order that is only "Zoloft as directed", without any dosage; the next one by product code with sig
    text. Transaction Bundle."""
    venlafaxine = (RXNORM, "313581", "24 HR venlafaxine 150 MG Extended Release Oral Capsule")
    return Chart(
        [
            story.person(),
            story.depression(),
            story.order(1, "Zoloft as directed", {}),
            story.order(2, venlafaxine, {"text": "1 cap PO daily"}),
            *story.totals(),
        ],
        type="transaction",
    )


def vignette_20(story: Story) -> Chart:
    """An order entered in error and a cancelled one beside the real one, which names all seven days of the
    week; the PHQ-9 total as a valueString holding only the number."""
    fluoxetine = (RXNORM, "310385", "fluoxetine 20 MG Oral Capsule")
    escitalopram = (RXNORM, "349332", "escitalopram 10 MG Oral Tablet")
    venlafaxine = (RXNORM, "313581", "24 HR venlafaxine 150 MG Extended Release Oral Capsule")
    every_weekday = every(dayOfWeek=["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
    return Chart(
        [
            story.person(),
            story.depression(),
            story.order(1, fluoxetine, every() | dose(capsules(1)), status="entered-in-error"),
            story.order(2, escitalopram, every_weekday | dose(tablets(2))),
            story.order(3, venlafaxine, every() | dose(capsules(1)), status="cancelled"),
            *[
                story.result(n, PHQ9_TOTAL, value=None, valueString=str(story.total(n)))
                for n in story.numbers_of_scores()
            ],
        ]
    )


def vignette_21(story: Story) -> Chart:
    """A proposal beside a real order; timing code BID with 50 mg tablets; PHQ-9 results with a later
    `amended` status. Transaction Bundle."""
    sertraline = (RXNORM, "312941", "sertraline 50 MG Oral Tablet")
    mirtazapine = (RXNORM, "314111", "mirtazapine 30 MG Oral Tablet")
    return Chart(
        [
            story.person(),
            story.depression(),
            story.order(1, sertraline, coded_timing("BID") | dose(tablets(1))),
            story.order(2, mirtazapine, every() | dose(tablets(1)), status="active", intent="proposal"),
            *story.totals(status="amended"),
        ],
        type="transaction",
    )


def vignette_22(story: Story) -> Chart:
    """Titration inside one order: three venlafaxine instructions by `sequence`, each with its own bounds
    (one, two, four capsules of 37.5 mg); sertraline as two orders by ingredient and mg."""
    venlafaxine = (RXNORM, "313583", "24 HR venlafaxine 37.5 MG Extended Release Oral Capsule")
    sertraline = (RXNORM, "36437", "sertraline")

    def step(number: int, capsule_count: int) -> Resource:
        told = story.orders[number - 1]
        bounds = {"start": told["firstDay"], "end": told["lastDay"]}
        return {"sequence": number, **every(boundsPeriod=bounds), **dose(capsules(capsule_count))}

    return Chart(
        [
            story.person(),
            story.depression(),
            story.order_from(1, venlafaxine, [step(1, 1), step(2, 2), step(3, 4)]),
            story.order(4, sertraline, every() | dose(mg(50))),
            story.order(5, sertraline, every() | dose(mg(100))),
            *story.totals(),
        ]
    )


def vignette_23(story: Story) -> Chart:
    """Weekly fluoxetine: product 313995, one capsule a week, after daily Prozac by branded product; bupropion
    as brand text ("Wellbutrin XL 300 mg ..."). Transaction Bundle."""
    prozac = (RXNORM, "104849", "fluoxetine 20 MG Oral Capsule [Prozac]")
    weekly = (RXNORM, "313995", "fluoxetine 90 MG Delayed Release Oral Capsule")
    return Chart(
        [
            story.person(),
            story.depression(),
            story.order(1, prozac, every() | dose(capsules(1))),
            story.order(2, weekly, every(1, "wk") | dose(capsules(1))),
            story.order(
                3, "Wellbutrin XL 300 mg 24 hr tablet, extended release", {"text": "1 tablet PO every day"}
            ),
            *story.totals(),
        ],
        type="transaction",
    )


def vignette_24(story: Story) -> Chart:
    """A liquid: 10 mL of 1 mg/mL (product 351285), daily; then "one capsule twice a day" of 30 mg; entries
    have a fullUrl, references are relative."""
    escitalopram = (RXNORM, "351285", "escitalopram 1 MG/ML Oral Solution")
    duloxetine = (RXNORM, "596930", "duloxetine 30 MG Delayed Release Oral Capsule")
    return Chart(
        [
            story.person(),
            story.depression(),
            story.order(1, escitalopram, every() | dose(quantity(10, "mL", "mL"))),
            story.order(2, duloxetine, {"text": "one capsule twice a day"}),
            *story.totals(),
        ],
        base_url="https://ehr.example.org/fhir",
    )


CHARTS: tuple[Callable[[Story], Chart], ...] = (
    vignette_01,
    vignette_02,
    vignette_03,
    vignette_04,
    vignette_05,
    vignette_06,
    vignette_07,
    vignette_08,
    vignette_09,
    vignette_10,
    vignette_11,
    vignette_12,
    vignette_13,
    vignette_14,
    vignette_15,
    vignette_16,
    vignette_17,
    vignette_18,
    vignette_19,
    vignette_20,
    vignette_21,
    vignette_22,
    vignette_23,
    vignette_24,
)


# --- writing ------------------------------------------------------------------------------------------


def write_vignettes(folder: Path) -> None:
    for name, files in vignette_files().items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file_name, content in files.items():
            text = json.dumps(content, indent=1, ensure_ascii=False)
            (folder / name / file_name).write_text(text + "\n", "utf-8")


def vignette_files() -> dict[str, dict[str, Resource]]:
    """For each folder name its `bundle.json` and `expected.json`."""
    told = json.loads((HERE / "stories.json").read_text("utf-8"))
    return dict(_files_of(Story(one), chart) for one, chart in zip(told, CHARTS, strict=True))


def _files_of(story: Story, chart_of: Callable[[Story], Chart]) -> tuple[str, dict[str, Resource]]:
    chart = chart_of(story)
    encoding = " ".join((chart_of.__doc__ or "").split())
    return (
        f"{story.number:02}-{_slug(story.told['title'])}",
        {"bundle.json": _bundle_of(chart), "expected.json": _expected_of(story, chart, encoding)},
    )


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _expected_of(story: Story, chart: Chart, encoding: str) -> Resource:
    told = story.told
    return {
        "id": story.number,
        "title": told["title"],
        "on": told["on"],
        "patient": f"Patient/{story.patient_id}",
        "encoding": encoding,
        "verdicts": told["verdicts"],
        "trials": told["trials"],
        "safety": chart.safety,
        "why": told["why"],
    }


def _bundle_of(chart: Chart) -> Resource:
    written = bundle(*chart.resources, type=chart.type, base_url=chart.base_url)
    if chart.names == "relative":
        return written
    urls = {
        address_of(resource): _full_url(resource, chart)
        for resource in chart.resources
        if chart.names == "absolute" or resource["resourceType"] != "Patient"
    }
    entries = [_with_full_url(entry, urls.get(address_of(entry["resource"]))) for entry in written["entry"]]
    return written | {"entry": with_references_renamed(entries, urls)}


def _with_full_url(entry: Resource, full_url: str | None) -> Resource:
    """With the fullUrl first, where a reader looks for it."""
    return entry if full_url is None else {"fullUrl": "", **entry} | {"fullUrl": full_url}


def _full_url(resource: Resource, chart: Chart) -> str:
    if chart.names == "urn":
        return f"urn:uuid:{uuid5(NAMESPACE_URL, address_of(resource))}"
    return f"{chart.base_url}/{address_of(resource)}"


if __name__ == "__main__":
    write_vignettes(HERE / "vignettes")
