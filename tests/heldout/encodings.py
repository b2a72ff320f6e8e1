"""Stories → FHIR R4 Bundles, each order, score and diagnosis in one of the many ways that charts write them.

Only spellings that a record system could write and that leave no honest doubt: whatever is drawn here, the
story is the only right reading. `chart` returns the Bundle and the names of the spellings it used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import Any, TypeVar

from tests.heldout.dosages import Dose, written_dosages
from tests.heldout.formulary import Name, Product, names_of, products_of
from tests.heldout.noise import noise
from tests.heldout.stories import Diagnosis, Order, Score, Story

Resource = dict[str, Any]
Choice = TypeVar("Choice")
BASE = "https://ehr.example.org/fhir"
PATIENT = "pat-7"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"


class Pen:
    """Draws spellings and remembers which; gives every resource an id of its own."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.spellings: list[str] = []
        self._count = 0

    def choose(self, what: str, spellings: Sequence[Choice]) -> Choice:
        at = self.random.randrange(len(spellings))
        shown = spellings[at]
        self.spellings.append(f"{what}: {shown if isinstance(shown, str) else at}")
        return shown

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def new_id(self) -> str:
        self._count += 1
        return f"r{self._count}"


def chart(story: Story, random: Random) -> tuple[Resource, list[str]]:
    pen = Pen(random)
    resources: list[Resource] = [_patient(story, pen)]
    for steps in _charted_together(story.orders, pen):
        resources += _orders(steps[0], story, pen) if len(steps) == 1 else _in_steps(steps, story, pen)
    for score in story.scores:
        resources += _scores(score, pen)
    resources += [_condition(diagnosis, pen) for diagnosis in story.diagnoses]
    resources += noise(story, pen)
    copies = [dict(random.choice(resources)) for _ in range(random.choice([0, 0, 1]))]
    resources += copies
    random.shuffle(resources)
    return _bundle(resources), pen.spellings


def _bundle(resources: list[Resource]) -> Resource:
    entries = [
        {"fullUrl": r.pop("_url", None) or f"{BASE}/{r['resourceType']}/{r['id']}", "resource": r}
        for r in (dict(r) for r in resources)
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def subject(pen: Pen) -> Resource:
    if pen.chance(0.8):
        return {"reference": f"Patient/{PATIENT}"}
    how = pen.choose("subject", ["absolute", "with display", "with type"])
    return {
        "absolute": {"reference": f"{BASE}/Patient/{PATIENT}"},
        "with display": {"reference": f"Patient/{PATIENT}", "display": "Test, Case"},
        "with type": {"reference": f"Patient/{PATIENT}", "type": "Patient"},
    }[how]


def _patient(story: Story, pen: Pen) -> Resource:
    is_clearly_grown = story.on.year - story.born.year > 25
    born = story.born.isoformat()
    written = pen.choose("born", [born, born, born[:7], born[:4]]) if is_clearly_grown else born
    return {"resourceType": "Patient", "id": PATIENT, "birthDate": written, "gender": "female"}


# --- orders -------------------------------------------------------------------------------------------


def _orders(order: Order, story: Story, pen: Pen) -> list[Resource]:
    """One order, or the same days in two orders as a refill would make them."""
    days = (order.last_day - order.first_day).days + 1
    if days < 8 or pen.chance(0.75):
        return _order(order, story, pen)
    cut = order.first_day + timedelta(days=pen.random.randrange(2, days - 2))
    status = "completed" if order.status in ("active", "stopped") and cut <= story.on else order.status
    overlap = pen.choose("refill early by", [0, 0, 1, 5]) if order.stopped_for == "" else 0
    first = replace(order, last_day=cut, status=status, stopped_for="")
    then = replace(order, first_day=max(cut + timedelta(days=1 - overlap), order.first_day))
    pen.spellings.append("order: split into refills")
    return [*_order(first, story, pen), *(_order(then, story, pen) if then.first_day <= story.on else [])]


def _charted_together(orders: Sequence[Order], pen: Pen) -> list[list[Order]]:
    """Each order by itself, or two steps that follow each other as one order (a titration)."""
    groups: list[list[Order]] = []
    for order in orders:
        before = groups[-1][-1] if groups else None
        is_next_step = (
            before is not None
            and len(groups[-1]) == 1
            and before.last_day + timedelta(days=1) == order.first_day
            and replace(before, first_day=order.first_day, last_day=order.last_day, mg_per_day=order.mg_per_day,
                        status=order.status, stopped_for=order.stopped_for) == order
            and {before.status, order.status} <= {"active", "completed", "stopped"}
        )  # fmt: skip
        if is_next_step and pen.chance(0.4):
            groups[-1].append(order)
        else:
            groups.append([order])
    return groups


def _in_steps(steps: list[Order], story: Story, pen: Pen) -> list[Resource]:
    """One order with a dosage for each step, on its own days or in sequence with its own length."""
    last = steps[-1]
    drug = pen.random.choice(names_of(last.ingredient))
    medication, others = _medication(drug, Dose(last.mg_per_day, None, ""), pen)
    how = pen.choose("steps", ["bounds periods", "sequence and lengths", "sequence, last open"])
    goes_on = last.last_day >= story.on and last.status == "active"
    is_open = how == "sequence, last open" and goes_on
    dosages = [
        _step(number, step, how, is_open=is_open and step is last, pen=pen)
        for number, step in enumerate(steps, start=1)
    ]
    request = {
        "resourceType": "MedicationRequest",
        "id": pen.new_id(),
        "status": last.status,
        "intent": last.intent,
        "subject": subject(pen),
        **medication,
        "authoredOn": _on_day(steps[0].first_day, pen),
        "dosageInstruction": dosages,
        **_why_stopped(last, pen),
        **_purpose(last, pen),
    }
    if last.as_needed:
        _as_needed(dosages, pen)
    return [request, *others]


def _step(number: int, step: Order, how: str, *, is_open: bool, pen: Pen) -> Resource:
    repeat: Resource = {"frequency": 1, "period": 1, "periodUnit": "d"}
    if how == "bounds periods":
        repeat["boundsPeriod"] = {"start": _on_day(step.first_day, pen), "end": _on_day(step.last_day, pen)}
    elif not is_open:
        repeat["boundsDuration"] = _length((step.last_day - step.first_day).days + 1, pen)
    dose = {"value": step.mg_per_day, "unit": "mg"}
    return {"sequence": number, "timing": {"repeat": repeat}, "doseAndRate": [{"doseQuantity": dose}]}


def _order(order: Order, story: Story, pen: Pen) -> list[Resource]:
    drug, dose = _drug_and_dose(order, pen)
    medication, others = _medication(drug, dose, pen)
    request: Resource = {
        "resourceType": "MedicationRequest",
        "id": pen.new_id(),
        "status": order.status,
        "intent": order.intent if order.intent != "order" else pen.choose("intent", INTENTS),
        "subject": subject(pen),
        **medication,
        "dosageInstruction": written_dosages(dose, pen),
        **_why_stopped(order, pen),
        **_purpose(order, pen),
    }
    if order.as_needed:
        _as_needed(request["dosageInstruction"], pen)
    _days(_Course(request, order, dose, pen), story)
    return [request, *others]


INTENTS = ("order", "order", "order", "order", "original-order", "filler-order", "instance-order")


def _drug_and_dose(order: Order, pen: Pen) -> tuple[Product | Name, Dose]:
    """A product whose pieces make up the dose, or a name with the dose in mg."""
    if pen.chance(0.25):
        name = pen.random.choice(names_of(order.ingredient))
        pen.spellings.append(f"drug: {name.level}")
        return name, Dose(order.mg_per_day, None, "")
    product = _product_for(order, pen)
    pen.spellings.append(f"drug: {product.level} {product.piece}")
    return product, Dose(order.mg_per_day, product.mg_each, product.piece)


def _product_for(order: Order, pen: Pen) -> Product:
    by_level: dict[str, list[Product]] = {}
    for product in products_of(order.ingredient):
        pieces = order.mg_per_day / product.mg_each
        step = 4 if product.piece == "mL" else 2 if product.piece == "tablet" else 1
        if abs(pieces * step - round(pieces * step)) < 1e-6 and pieces <= (30 if step == 4 else 4):
            by_level.setdefault(f"{product.level} {product.piece}", []).append(product)
    return pen.random.choice(by_level[pen.random.choice(sorted(by_level))])


def _coding(drug: Product | Name, pen: Pen) -> Resource:
    system, code = drug.system, drug.code
    if drug.level == "NDC":
        ten_digits = drug.hyphenated if isinstance(drug, Product) else ""
        code = pen.choose("NDC", [code, f"{code[:5]}-{code[5:9]}-{code[9:]}", ten_digits or code])
    if system in OIDS and pen.chance(0.2):
        system = pen.choose("system", [OIDS[system], system + "/", system.replace("http:", "https:")])
    display = {} if pen.chance(0.4) else {"display": drug.name}
    return {"system": system, "code": code} | display


OIDS = {
    "http://www.nlm.nih.gov/research/umls/rxnorm": "urn:oid:2.16.840.1.113883.6.88",
    "http://snomed.info/sct": "urn:oid:2.16.840.1.113883.6.96",
    "http://www.whocc.no/atc": "urn:oid:2.16.840.1.113883.6.73",
    "http://hl7.org/fhir/sid/ndc": "urn:oid:2.16.840.1.113883.6.69",
}


def _concept(drug: Product | Name, pen: Pen) -> Resource:
    if not drug.code:
        return pen.choose(
            "text as",
            [
                {"text": drug.name},
                {"coding": [{"display": drug.name}], "text": drug.name},
                {"coding": [{"system": "urn:oid:1.2.840.114350.1.13.0.1.7.2.696580", "code": "4711"}],
                 "text": drug.name},
            ],
        )  # fmt: skip
    concept: Resource = {"coding": [_coding(drug, pen)]}
    if pen.chance(0.3):
        concept["text"] = drug.name
    if isinstance(drug, Product) and pen.chance(0.2):
        twin = pen.random.choice(_twins(drug))
        concept["coding"].append(_coding(twin, pen))
        pen.spellings.append(f"drug: {twin.level} beside {drug.level}")
    if pen.chance(0.2):
        local = {"system": "urn:oid:1.2.36.1.2001.1005.17", "code": "0815"}
        concept["coding"].insert(pen.random.randrange(2), local)
        pen.spellings.append("drug: local code beside")
    return concept


def _twins(drug: Product) -> list[Product | Name]:
    """Codes of the same strength and form, and of the drug."""
    same = [
        p
        for p in products_of(drug.ingredient)
        if (p.mg_each, p.piece) == (drug.mg_each, drug.piece) and p.code
    ]
    return [*same[:50], *(name for name in names_of(drug.ingredient) if name.level in ("IN", "ATC", "VTM"))]


def _medication(drug: Product | Name, dose: Dose, pen: Pen) -> tuple[Resource, list[Resource]]:
    """The drug in the order itself, or in a Medication that the order refers to."""
    concept = _concept(drug, pen)
    if pen.chance(0.65):
        return {"medicationCodeableConcept": concept}, []
    medication: Resource = {"resourceType": "Medication", "id": pen.new_id(), "code": concept}
    if pen.chance(0.3):
        medication["status"] = "active"
    if dose.mg_each and dose.piece != "mL" and pen.chance(0.3):
        medication |= _composition(drug, dose, pen)
    id_ = medication["id"]
    how = pen.choose("medication", ["contained", "relative", "absolute", "urn:uuid", "versioned"])
    if how == "contained":
        return {"medicationReference": {"reference": f"#{id_}"}, "contained": [medication]}, []
    if how == "urn:uuid":
        url = f"urn:uuid:00000000-0000-4000-8000-{int(id_[1:]):012d}"
        return {"medicationReference": {"reference": url}}, [{**medication, "_url": url}]
    written = {"relative": "Medication/{}", "absolute": BASE + "/Medication/{}",
               "versioned": "Medication/{}/_history/1"}[how].format(id_)  # fmt: skip
    display = {"display": drug.name} if pen.chance(0.3) else {}
    return {"medicationReference": {"reference": written, **display}}, [medication]


def _composition(drug: Product | Name, dose: Dose, pen: Pen) -> Resource:
    """The strength as ingredient and form, where the code tells only a local item."""
    by_level = [name for name in names_of(drug.ingredient) if name.level in ("generic", "IN", "ATC")]
    ingredient = pen.random.choice(by_level)
    concept = {"text": ingredient.name} if not ingredient.code else {"coding": [_coding(ingredient, pen)]}
    strength = {
        "numerator": {"value": dose.mg_each, "unit": "mg", "system": UCUM, "code": "mg"},
        "denominator": {"value": 1}
        | ({"unit": dose.piece} if pen.chance(0.5) else {"system": UCUM, "code": "1"}),
    }
    pen.spellings.append("medication: by ingredient")
    return {
        "code": {"coding": [{"system": "urn:oid:1.2.36.1.2001.1005.17", "code": "0815"}]},
        "form": {"text": dose.piece},
        "ingredient": [{"itemCodeableConcept": concept, "isActive": True, "strength": strength}],
    }


def _as_needed(dosages: list[Resource], pen: Pen) -> None:
    how = pen.choose("as needed", ["boolean", "reason", "both"])
    for dosage in dosages:
        if how == "boolean":
            dosage["asNeededBoolean"] = True
        elif how == "reason":
            dosage["asNeededCodeableConcept"] = {"text": "insomnia"}
        else:
            dosage["asNeededBoolean"] = True
            dosage["text"] = (dosage.get("text") or "") + " as needed"


REASONS = {
    "inefficacy": ({"text": "Lack of efficacy"}, {"text": "Ineffective"}, {"text": "No response after 8 weeks"},
                   {"coding": [{"display": "Lack of drug action"}], "text": "Not effective"},
                   {"text": "Did not help"}, {"text": "Treatment failure"}),
    "intolerance": (
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medicationrequest-status-reason",
                     "code": "sintol"}]},
        {"text": "Side effects"}, {"text": "Intolerance"}, {"text": "Adverse reaction - nausea"},
        {"text": "Could not tolerate"},
    ),
    "other": ({"text": "Patient moved away"}, {"text": "Formulary change"},
              {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/medicationrequest-status-reason",
                           "code": "altchoice"}]}),
}  # fmt: skip


def _why_stopped(order: Order, pen: Pen) -> Resource:
    if not order.stopped_for:
        return {}
    return {"statusReason": pen.choose(f"stopped for {order.stopped_for}", REASONS[order.stopped_for])}


ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
PURPOSES = {
    "depression": (
        {"text": "Depression"},
        {"coding": [{"system": ICD_10_CM, "code": "F33.1"}]},
        {"coding": [{"system": ICD_10_CM, "code": "F32.9", "display": "MDD, single episode, unspecified"}]},
        {"coding": [{"system": "http://snomed.info/sct", "code": "370143000"}], "text": "Major depression"},
    ),
    "other": (
        {"text": "Neuropathic pain"},
        {"coding": [{"system": ICD_10_CM, "code": "G62.9"}]},
        {"coding": [{"system": ICD_10_CM, "code": "G47.00", "display": "Insomnia, unspecified"}]},
        {"text": "Migraine prophylaxis"},
        {"text": "Insomnia"},
        {"coding": [{"system": ICD_10_CM, "code": "M79.7"}], "text": "Fibromyalgia"},
        {"coding": [{"system": ICD_10_CM, "code": "F17.210"}], "text": "Smoking cessation"},
        {"coding": [{"system": ICD_10_CM, "code": "F41.1"}]},
    ),
}  # fmt: skip


def _purpose(order: Order, pen: Pen) -> Resource:
    if not order.purpose:
        return {}
    return {"reasonCode": [pen.choose(f"purpose {order.purpose}", PURPOSES[order.purpose])]}


# --- days ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Course:
    """An order being written, and the days that it has to tell."""

    request: Resource
    order: Order
    dose: Dose
    pen: Pen

    @property
    def days(self) -> int:
        return (self.order.last_day - self.order.first_day).days + 1

    @property
    def dosages(self) -> list[Resource]:
        return self.request["dosageInstruction"]


def _days(course: _Course, story: Story) -> None:
    """First and last day in one of the places where an order can tell them."""
    goes_on = course.order.last_day >= story.on and course.order.status == "active"
    has_text = len(course.dosages) == 1 and "text" in course.dosages[0]
    ways = ["bounds period", "bounds period, ordered earlier", "bounds duration", "supply", "validity"]
    ways += ["bounds duration in weeks"] if course.days % 7 == 0 else []
    ways += ["supply in two fills"] if course.days % 2 == 0 else []
    ways += ["quantity"] if course.dose.pieces_per_day and len(course.dosages) == 1 else []
    ways += ["in words"] if has_text else []
    ways += ["no end"] * 3 if goes_on else []
    course.request["authoredOn"] = _on_day(course.order.first_day, course.pen)
    _WAYS[course.pen.choose("days", ways)](course)


def _on_day(day: date, pen: Pen) -> str:
    """A day by itself or with a time and zone; the calendar day is the one written."""
    if pen.chance(0.7):
        return day.isoformat()
    return day.isoformat() + pen.choose(
        "time", ["T09:30:00Z", "T23:30:00-05:00", "T00:15:00+10:00", "T08:00:00.000+01:00"]
    )


def _period(course: _Course) -> Resource:
    return {
        "start": _on_day(course.order.first_day, course.pen),
        "end": _on_day(course.order.last_day, course.pen),
    }


def _with_bounds(course: _Course, **bounds: Resource) -> None:
    for dosage in course.dosages:
        dosage.setdefault("timing", {}).setdefault("repeat", {}).update(bounds)


def _bounds_period(course: _Course) -> None:
    _with_bounds(course, boundsPeriod=_period(course))


def _ordered_earlier(course: _Course) -> None:
    _bounds_period(course)
    earlier = course.order.first_day - timedelta(days=course.pen.random.choice([1, 5]))
    course.request["authoredOn"] = _on_day(earlier, course.pen)


def _bounds_duration(course: _Course) -> None:
    _with_bounds(course, boundsDuration=_length(course.days, course.pen))


def _bounds_weeks(course: _Course) -> None:
    weeks = {"value": course.days // 7, "unit": "weeks", "system": UCUM, "code": "wk"}
    _with_bounds(course, boundsDuration=weeks)


def _length(days: int, pen: Pen) -> Resource:
    return {"value": days} | pen.choose(
        "length", [{"unit": "days", "system": UCUM, "code": "d"}, {"unit": "day"}, {"unit": "d"},
                   {"system": UCUM, "code": "d"}, {"unit": "Days"}]
    )  # fmt: skip


def _supply(course: _Course) -> None:
    supply = {"expectedSupplyDuration": _length(course.days, course.pen)}
    repeats = {"numberOfRepeatsAllowed": 0} if course.pen.chance(0.3) else {}
    course.request["dispenseRequest"] = supply | repeats


def _two_fills(course: _Course) -> None:
    supply = {"expectedSupplyDuration": _length(course.days // 2, course.pen), "numberOfRepeatsAllowed": 1}
    course.request["dispenseRequest"] = supply


def _quantity(course: _Course) -> None:
    assert course.dose.pieces_per_day
    piece = course.dose.piece
    unit = course.pen.choose("quantity unit", [piece, "ml" if piece == "mL" else piece + "s"])
    pieces = round(course.days * course.dose.pieces_per_day, 4)
    course.request["dispenseRequest"] = {"quantity": {"value": pieces, "unit": unit}}


def _validity(course: _Course) -> None:
    course.request["dispenseRequest"] = {"validityPeriod": _period(course)}


def _in_words(course: _Course) -> None:
    words = course.pen.choose("length in words", [" for {} days", " x {} days", " for {} days.", " x{}d"])
    dosage = course.dosages[0]
    dosage["text"] = dosage["text"].rstrip(". ") + words.format(course.days)


def _no_end(course: _Course) -> None:
    """An active order that goes on."""


_WAYS = {
    "bounds period": _bounds_period,
    "bounds period, ordered earlier": _ordered_earlier,
    "bounds duration": _bounds_duration,
    "bounds duration in weeks": _bounds_weeks,
    "supply": _supply,
    "supply in two fills": _two_fills,
    "quantity": _quantity,
    "validity": _validity,
    "in words": _in_words,
    "no end": _no_end,
}


# --- scores -------------------------------------------------------------------------------------------

PHQ9_ITEMS = (
    "44250-9",
    "44255-8",
    "44259-0",
    "44254-1",
    "44251-7",
    "44258-2",
    "44252-5",
    "44253-3",
    "44260-8",
)
TOTAL_CODES = {"PHQ-9": "44261-6", "BDI-II": "89209-1"}
PANEL_CODES = {"PHQ-9": "44249-1", "BDI-II": "89210-9"}
WORDS = {
    "PHQ-9": ("PHQ-9 total score", "PHQ9 Total Score", "Patient Health Questionnaire 9 item total score",
              "PHQ-9", "Patient Health Questionnaire (PHQ-9)", "PHQ-9 Score"),
    "MADRS": ("MADRS total score", "Montgomery-Åsberg Depression Rating Scale", "MADRS",
              "Montgomery-Asberg Depression Rating Scale (MADRS) total score"),
    "HAM-D 17": ("HAM-D 17 total score", "HAMD-17", "Hamilton Depression Rating Scale 17 item total",
                 "HDRS-17 total score", "HAM-D17 total"),
    "BDI-II": ("BDI-II total score", "Beck Depression Inventory II", "BDI-II",
               "Beck Depression Inventory-II (BDI-II) total score"),
    "QIDS-SR16": ("QIDS-SR16 total score", "QIDS-SR", "Quick Inventory of Depressive Symptomatology Self-Report"),
}  # fmt: skip


def _scores(score: Score, pen: Pen) -> list[Resource]:
    ways = ["text"]
    ways += (
        ["total code"] * 3 + ["panel with value", "panel with component"]
        if score.scale in TOTAL_CODES
        else []
    )
    ways += ["nine components", "members", "nine answers"] if score.scale == "PHQ-9" else []
    how = pen.choose("score", ways)
    if how == "text":
        return [_observation({"text": pen.choose("words", WORDS[score.scale])}, score, pen)]
    total = _code(TOTAL_CODES[score.scale], pen)
    if how == "total code":
        return [_observation(total, score, pen)]
    panel = _observation(_code(PANEL_CODES[score.scale], pen), score, pen)
    if how == "panel with value":
        return [panel]
    value = {name: panel.pop(name) for name in [*panel] if name.startswith("value")}
    if how == "panel with component":
        panel["component"] = [{"code": total, **value}]
        return [panel]
    if how == "nine components":
        panel["component"] = [{"code": _code(i, pen), **_item(n, pen)} for i, n in _items(score.total)]
        return [panel]
    members = [_member(panel, code, number, pen) for code, number in _items(score.total)]
    if how == "nine answers":
        return members
    member = {**panel, "id": pen.new_id(), "code": total, **value}
    panel["hasMember"] = [{"reference": f"Observation/{one['id']}"} for one in (member, *members)]
    return [panel, member, *members]


def _items(total: int) -> list[tuple[str, int]]:
    """Nine answers from 0 to 3 that add up; the last, about self-harm, as late as possible."""
    answers = []
    for _ in PHQ9_ITEMS:
        answers.append(min(3, total))
        total -= answers[-1]
    return list(zip(PHQ9_ITEMS, answers, strict=True))


LOINC_ANSWERS = ("LA6568-5", "LA6569-3", "LA6570-1", "LA6571-9")


def _item(number: int, pen: Pen) -> Resource:
    how = pen.random.randrange(3)
    if how == 0:
        return {"valueInteger": number}
    if how == 1:
        return {"valueQuantity": {"value": number, "unit": "{score}", "system": UCUM, "code": "{score}"}}
    return {"valueCodeableConcept": {"coding": [{"system": LOINC, "code": LOINC_ANSWERS[number]}]}}


def _member(panel: Resource, code: str, number: int, pen: Pen) -> Resource:
    return {**panel, "id": pen.new_id(), "code": _code(code, pen), **_item(number, pen)}


def _code(code: str, pen: Pen) -> Resource:
    system = pen.random.choice([LOINC, LOINC, LOINC, "urn:oid:2.16.840.1.113883.6.1"])
    concept: Resource = {"coding": [{"system": system, "code": code}]}
    if pen.chance(0.2):
        concept["coding"].insert(0, {"system": "urn:oid:1.2.840.114350", "code": "9001"})
    return concept


def _observation(code: Resource, score: Score, pen: Pen) -> Resource:
    return {
        "resourceType": "Observation",
        "id": pen.new_id(),
        "status": pen.choose("result status", ["final", "final", "final", "amended", "corrected"]),
        "code": code,
        "subject": subject(pen),
        **_when(score.day, pen),
        **_value(score.total, pen),
    }


def _when(day: date, pen: Pen) -> Resource:
    how = pen.choose(
        "result day", ["dateTime", "dateTime", "period", "instant", "issued only", "with issued"]
    )
    if how == "period":
        return {"effectivePeriod": {"start": f"{day}T10:00:00Z", "end": f"{day}T10:12:00Z"}}
    if how == "instant":
        return {"effectiveInstant": f"{day}T10:00:00.123Z"}
    if how == "issued only":
        return {"issued": f"{day}T10:00:00+02:00"}
    issued = {"issued": f"{day + timedelta(days=2)}T08:00:00Z"} if how == "with issued" else {}
    return {"effectiveDateTime": _on_day(day, pen), **issued}


def _value(total: int, pen: Pen) -> Resource:
    return pen.choose(
        "value",
        [
            {"valueQuantity": {"value": total, "unit": "{score}", "system": UCUM, "code": "{score}"}},
            {"valueInteger": total},
            {"valueQuantity": {"value": float(total)}},
            {"valueQuantity": {"value": total, "unit": "points"}},
            {"valueQuantity": {"value": total, "unit": "score", "system": UCUM, "code": "1"}},
            {"valueString": str(total)},
        ],
    )


# --- diagnoses ----------------------------------------------------------------------------------------

ICD_10 = "http://hl7.org/fhir/sid/icd-10"
ICD_9 = "http://hl7.org/fhir/sid/icd-9-cm"
ICD_11 = "http://id.who.int/icd/release/11/mms"
SNOMED = "http://snomed.info/sct"
DIAGNOSES = {
    "depression": (
        (ICD_10_CM, "F33.1"), (ICD_10_CM, "F331"), (ICD_10_CM, "F32.2"), (ICD_10, "F33.2"), (ICD_10, "F32.1"),
        ("http://fhir.de/CodeSystem/bfarm/icd-10-gm", "F33.1"), (SNOMED, "370143000"), (SNOMED, "66344007"),
        ("urn:oid:2.16.840.1.113883.6.90", "F33.2"), (ICD_9, "296.32"), (ICD_11, "6A71.1"),
        ("", "Major depressive disorder"), ("", "Recurrent major depressive disorder"),
        ("", "Major depressive disorder, recurrent, moderate"), (ICD_10_CM, "F33.41"),
        ("", "Major depressive disorder, single episode, severe"), (ICD_10_CM, "F33.3"),
    ),
    "full remission": (
        (ICD_10_CM, "F33.42"), (ICD_10_CM, "F32.5"), (SNOMED, "46244001"), (ICD_9, "296.36"),
        ("", "Major depressive disorder, recurrent, in full remission"), (ICD_11, "6A71.7"),
    ),
    "bipolar": (
        (ICD_10_CM, "F31.32"), (ICD_10_CM, "F31.9"), (ICD_10, "F31.3"), (ICD_9, "296.50"), (ICD_11, "6A60"),
        ("", "Bipolar disorder"), ("", "Bipolar II disorder"), (SNOMED, "13746004"), (ICD_10_CM, "F31.81"),
        (ICD_11, "6A61"),
    ),
    "psychotic_disorder": (
        (ICD_10_CM, "F20.0"), (ICD_10_CM, "F25.1"), (ICD_10, "F20.0"), (ICD_9, "295.30"), (SNOMED, "58214004"),
        ("", "Paranoid schizophrenia"), (ICD_11, "6A20"),
    ),
    "dementia": (
        (ICD_10_CM, "F03.90"), (ICD_10_CM, "G30.9"), (ICD_10, "F01.9"), (ICD_10, "G30.1"), ("", "Dementia"),
        (SNOMED, "52448006"), (ICD_10, "F00.1"),
    ),
}  # fmt: skip
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


def _condition(diagnosis: Diagnosis, pen: Pen) -> Resource:
    system, code = pen.random.choice(DIAGNOSES[diagnosis.kind])
    pen.spellings.append(f"diagnosis {diagnosis.kind}: {system} {code}")
    return {
        "resourceType": "Condition",
        "id": pen.new_id(),
        "code": {"coding": [{"system": system, "code": code}]} if system else {"text": code},
        "subject": subject(pen),
        **_status("clinicalStatus", CLINICAL, ["active", "active", ""], pen),
        **_status("verificationStatus", VERIFICATION, ["confirmed", "confirmed", ""], pen),
        **_recorded(diagnosis.day, pen),
    }


def _status(name: str, system: str, codes: list[str], pen: Pen) -> Resource:
    code = pen.choose(name, codes)
    return {name: {"coding": [{"system": system, "code": code}]}} if code else {}


def _recorded(day: date, pen: Pen) -> Resource:
    both = {"onsetDateTime": day.isoformat(), "recordedDate": day.isoformat()}
    return pen.choose(
        "recorded", [both, {"recordedDate": _on_day(day, pen)}, {"onsetDateTime": day.isoformat()}]
    )
