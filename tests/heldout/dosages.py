"""A daily dose → dosage instructions, structured or in words, the way different systems write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.heldout.encodings import Pen

Resource = dict[str, Any]
UCUM = "http://unitsofmeasure.org"
TIMING = "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation"


@dataclass(frozen=True)
class Dose:
    """mg per day; `mg_each` is what one piece (tablet, capsule, mL) holds, None when the product is not told."""

    mg_per_day: float
    mg_each: float | None
    piece: str

    @property
    def pieces_per_day(self) -> float | None:
        return round(self.mg_per_day / self.mg_each, 4) if self.mg_each else None


def written_dosages(dose: Dose, pen: Pen) -> list[Resource]:
    """One instruction, or one for each time of day."""
    in_mg = dose.pieces_per_day is None or pen.chance(0.2)
    times = pen.random.choice(_possible_times(dose, in_mg))
    ways = ["structured", "structured", "text", "text", "both"]
    ways += ["split"] if times == 2 else []
    ways += ["uneven split"] if not in_mg and dose.pieces_per_day in (3, 4, 5) else []
    ways += (
        ["alternate days"] if not in_mg and dose.piece != "mL" and dose.pieces_per_day in (1.5, 2.5) else []
    )
    ways += ["rate"] if times == 1 else []
    how = pen.choose("dosage", ways)
    if how == "alternate days":
        return _alternate(dose, pen)
    if how == "rate":
        return [_rate(dose, pen) | _beside(dose, pen)]
    if how == "split":
        return [_structured(dose, times, in_mg, pen) | {"timing": _at(when)} for when in ("MORN", "HS")]
    if how == "uneven split":
        return _uneven(dose, pen)
    if how == "text":
        return [
            _beside(dose, pen)
            | {pen.choose("sig in", ["text", "text", "patientInstruction"]): _text(dose, times, in_mg, pen)}
        ]
    dosage = _structured(dose, times, in_mg, pen) | {"timing": _timing(times, pen)} | _beside(dose, pen)
    if how == "both":
        dosage["text"] = _text(dose, times, in_mg, pen)
    return [dosage]


def _uneven(dose: Dose, pen: Pen) -> list[Resource]:
    """One in the morning and the others at night."""
    assert dose.pieces_per_day
    return [
        {"doseAndRate": [{"doseQuantity": {"value": pieces} | _unit(dose.piece, pen)}], "timing": _at(when)}
        for pieces, when in ((1, "MORN"), (dose.pieces_per_day - 1, "HS"))
    ]


def _alternate(dose: Dose, pen: Pen) -> list[Resource]:
    """Two dosages, each every other day, of which one is a piece more."""
    assert dose.pieces_per_day
    fewer = dose.pieces_per_day - 0.5
    amounts = [{"value": pieces} | _unit(dose.piece, pen) for pieces in (fewer, fewer + 1)]
    timing = {"repeat": {"frequency": 1, "period": 2, "periodUnit": "d"}}
    return [{"doseAndRate": [{"doseQuantity": amount}], "timing": timing} for amount in amounts]


def _rate(dose: Dose, pen: Pen) -> Resource:
    """The amount of a day as a rate."""
    mg = {"value": dose.mg_per_day, "unit": "mg"}
    return pen.choose(
        "rate",
        [
            {"doseAndRate": [{"rateRatio": {"numerator": mg, "denominator": {"value": 1, "unit": "day"}}}]},
            {"doseAndRate": [{"rateRatio": {"numerator": mg, "denominator": {"value": 24, "code": "h"}}}]},
            {"doseAndRate": [{"rateQuantity": {"value": dose.mg_per_day, "unit": "mg/d"}}]},
            {"doseAndRate": [{"rateQuantity": {"value": dose.mg_per_day, "system": UCUM, "code": "mg/d"}}]},
        ],
    )


def _beside(dose: Dose, pen: Pen) -> Resource:
    """Elements that often stand in a dosage and change nothing."""
    return pen.random.choice(
        [
            {},
            {},
            {"route": {"text": "oral"}},
            {"route": {"coding": [{"system": "http://snomed.info/sct", "code": "26643006"}]}},
            {"additionalInstruction": [{"text": "Take with food"}]},
            {
                "maxDosePerPeriod": {
                    "numerator": {"value": max(400, dose.mg_per_day), "unit": "mg"},
                    "denominator": {"value": 1, "unit": "d"},
                }
            },
            {"asNeededBoolean": False},
            {"sequence": 1},
        ]
    )


def _possible_times(dose: Dose, in_mg: bool) -> list[int]:
    """Once, or as often as whole pieces (half tablets, quarter mL) allow."""
    if in_mg or dose.pieces_per_day is None:
        return [1, 1, *(n for n in (2, 3) if (dose.mg_per_day * 4 / n).is_integer())]
    steps = {"capsule": 1, "tablet": 2, "mL": 4}[dose.piece]
    return [1, 1, *(n for n in (2, 3) if (dose.pieces_per_day * steps / n).is_integer())]


def _structured(dose: Dose, times: int, in_mg: bool, pen: Pen) -> Resource:
    if in_mg:
        quantity = _mg_quantity(dose.mg_per_day / times, pen)
    else:
        assert dose.pieces_per_day
        quantity = {"value": dose.pieces_per_day / times} | _unit(dose.piece, pen)
    amount = (
        {"doseRange": {"low": quantity, "high": quantity}} if pen.chance(0.1) else {"doseQuantity": quantity}
    )
    if not in_mg and dose.piece != "mL" and pen.chance(0.1):
        mg = _mg_quantity(dose.mg_per_day / times, pen)
        return {"doseAndRate": [amount, {"doseQuantity": mg}]}
    if pen.chance(0.15):
        amount["type"] = {"coding": [{"system": DOSE_RATE_TYPE, "code": "ordered"}]}
    return {"doseAndRate": [amount]}


DOSE_RATE_TYPE = "http://terminology.hl7.org/CodeSystem/dose-rate-type"


def _mg_quantity(mg: float, pen: Pen) -> Resource:
    how = pen.choose("mg", ["mg", "mg", "mg without code", "g", "ug", "milligram"])
    return {
        "mg": {"value": mg, "unit": "mg", "system": UCUM, "code": "mg"},
        "mg without code": {"value": mg, "unit": "mg"},
        "g": {"value": round(mg / 1000, 7), "unit": "g", "system": UCUM, "code": "g"},
        "ug": {"value": mg * 1000, "unit": "mcg", "system": UCUM, "code": "ug"},
        "milligram": {"value": mg, "unit": "milligram"},
    }[how]


DRUG_FORM = "http://terminology.hl7.org/CodeSystem/v3-orderableDrugForm"


def _unit(piece: str, pen: Pen) -> Resource:
    if piece == "mL":
        return pen.choose(
            "mL", [{"unit": "mL", "system": UCUM, "code": "mL"}, {"unit": "ml"}, {"unit": "mL"}]
        )
    short = {"tablet": "TAB", "capsule": "CAP"}[piece]
    return pen.choose(
        "piece",
        [
            {"unit": piece},
            {"unit": piece + "s"},
            {"unit": piece, "system": UCUM, "code": f"{{{piece}}}"},
            {"unit": short, "system": DRUG_FORM, "code": short},
            {"unit": piece.capitalize()},
            {"unit": f"{piece}(s)"},
            {"unit": "each"},
        ],
    )


def _at(when: str) -> Resource:
    return {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d", "when": [when]}}


SNOMED_CT = "http://snomed.info/sct"
SNOMED_TIMES = {1: "229797004", 2: "229799001", 3: "229798009"}
CODES = {1: ("QD", "once daily"), 2: ("BID", "twice daily"), 3: ("TID", "three times daily")}


def _timing(times: int, pen: Pen) -> Resource:
    code, words = CODES[times]
    moments = ["MORN", "EVE", "HS"][:times]
    clock = ["08:00:00", "20:00:00", "14:00:00"][:times]
    day = {"frequency": times, "period": 1, "periodUnit": "d"}
    ways = {
        "frequency": {"repeat": day},
        "hours": {"repeat": {"frequency": 1, "period": 24 // times, "periodUnit": "h"}},
        "week": {"repeat": {"frequency": 7 * times, "period": 1, "periodUnit": "wk"}},
        "7 days": {"repeat": {"frequency": 7 * times, "period": 7, "periodUnit": "d"}},
        "code": {"code": {"coding": [{"system": TIMING, "code": code}]}},
        "code as text": {"code": {"text": words}},
        "code and frequency": {
            "code": {"coding": [{"system": TIMING, "code": code}], "text": words},
            "repeat": day,
        },
        "when": {"repeat": {"when": moments}},
        "when and frequency": {"repeat": {**day, "when": moments}},
        "clock": {"repeat": {**day, "timeOfDay": clock}},
        "clock alone": {"repeat": {"timeOfDay": clock}},
        "SNOMED CT": {"code": {"coding": [{"system": SNOMED_CT, "code": SNOMED_TIMES[times]}]}},
        "meals": {"repeat": {"when": ["CM", "CV", "CD"][:times]}},
        "before meals": {"repeat": {**day, "when": ["ACM", "ACV", "ACD"][:times], "offset": 30}},
        "with food": {"repeat": {**day, "when": ["C"]}},
        "takes a minute": {"repeat": {**day, "duration": 1, "durationUnit": "min"}},
        "fortnight": {"repeat": {"frequency": 14 * times, "period": 2, "periodUnit": "wk"}},
        "minutes": {"repeat": {"frequency": times, "period": 1440, "periodUnit": "min"}},
        "every weekday": {"repeat": {**day, "dayOfWeek": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}},
    }
    return ways[pen.choose("timing", list(ways))]


# --- in words -----------------------------------------------------------------------------------------

OFTEN = {
    1: ("daily", "once daily", "once a day", "every day", "OD", "qd", "every morning", "at night", "nocte", "mane",
        "ONCE A DAY", "1 time daily", "1 (one) time each day", "in the morning", "at bedtime", "qhs", "q am", "qAM",
        "every 24 hours", "each morning", "once every morning", "nightly", "every evening", "1x/day", "q24h",
        "once daily in the morning", "every night at bedtime", "daily with breakfast", "q.d.", "o.d.", "OM", "ON", "hs",
        "at 8 am", "at 9:00 PM", "at 0800", "daily at 21:00", "each night at bedtime", "once every day", "qday",
        "per day",
        "every 24 hrs", "1 x daily", "each AM", "qpm", "once nightly", "with dinner", "on rising", "at 10pm",
        "daily once"),
    2: ("twice daily", "BD", "bid", "twice a day", "2 times daily", "2 (two) times a day", "every 12 hours", "b.i.d.",
        "morning and night", "q12h", "2x/day", "TWICE A DAY", "in the morning and at bedtime", "two times a day", "BDS",
        "am & pm", "at 8 am and 8 pm", "0800 and 2000", "every 12 hrs", "q 12 hours", "with breakfast and dinner",
        "every morning and every evening", "mane and nocte", "2 (two) times per day", "b.d", "2 x daily",
        "q AM and q HS"),
    3: ("three times daily", "TDS", "tid", "three times a day", "3 times daily", "t.i.d.", "every 8 hours", "q8h",
        "3 (three) times a day", "morning, noon and night", "three times/day", "3x/d", "q 8 hrs", "T.D.S.",
        "thrice daily",
        "at 0800, 1400 and 2000", "with breakfast, lunch and dinner", "in the morning, at noon, and at bedtime"),
}  # fmt: skip
PIECES = (
    "Take {n} {piece} by mouth {often}",
    "Take {n} {piece} by mouth {often}.",
    "{n} {piece} {often}",
    "{n} {short} PO {often}",
    "TAKE {N} {PIECE} BY MOUTH {OFTEN}",
    "{word} {piece} to be taken {often}",
    "Take {word} {piece} {often}",
    "Take {n} {piece} ({mg} mg total) by mouth {often}.",
    "Take {n} {piece} ({mg} mg) orally {often}",
    "{n} {piece} orally {often}",
    "{n} {short} po {often} with food",
    "Take {n} {piece} {often}, do not crush",
    "{n} {piece} {often} as directed",
    "{n}{short} {often}",
    "Dose: {n} {piece}, Route: oral, Frequency: {often}",
    "Take {mg} mg ({n} {piece}) by mouth {often}",
    "{mg} mg = {n} {piece}, PO, {often}",
    "{n} {piece}(s), Oral, {often}, # 30 {piece}(s), 0 Refill(s)",
    "Take {n} {piece} ({mg} mg total) by mouth {often}., Disp-90 {piece}, R-0, Normal",
    "{n} {piece} {often}. Swallow whole. Do not crush or chew.",
    "Take {n} {piece} {often} with a full glass of water for depression",
    "sig: {n} {short} p.o. {often}, qty 90, refills 0",
    "{n} ({word}) {piece} {often}",
    "Take {word} ({n}) {piece} by mouth {often}",
    "{n} {piece} - {often}",
)
UK = {
    (1, 1): ("one to be taken each day", "ONE TO BE TAKEN DAILY", "One to be taken at night", "1 OD", "Take ONE daily",
             "One daily", "1 nocte", "1-0-0", "0-0-1", "Take ONE tablet ONCE a day", "ONE EVERY MORNING", "1 daily",
             "1 ON", "1 om", "i od", "1 at night mdu", "ONE AT NIGHT AS DIRECTED", "1 o.d. pc", "one mane"),
    (2, 1): ("two to be taken at night", "TWO TO BE TAKEN EACH MORNING", "2 nocte", "0-0-2", "Take TWO daily"),
    (1, 2): ("one to be taken twice a day", "1 BD", "1-0-1", "ONE TWICE DAILY", "Take ONE twice a day"),
    (1, 3): ("one to be taken three times a day", "1 TDS", "1-1-1", "ONE THREE TIMES A DAY"),
    (2, 2): ("two to be taken twice a day", "2 BD", "2-0-2", "ii bd", "2 BDS"),
}  # fmt: skip
IN_MG = (
    "Take {mg} mg by mouth {often}",
    "{mg} mg {often}",
    "{mg}mg {often}",
    "{mg} mg PO {often}",
    "{mg}mg po {often}",
    "Take {mg}mg {often} with water",
    "{mg} milligrams by mouth {often}",
    "{mg} MG ORAL {OFTEN}",
    "{mg} mg, Oral, {often}",
    "Dose: {mg} mg; Route: oral; Frequency: {often}",
    "{mg}mg po {often} for mood, #30, 0 refills",
    "take {mg} mg orally {often} without regard to meals",
)
WORDS = {0.5: "half a", 1: "one", 1.5: "one and a half", 2: "two", 3: "three", 4: "four"}


def _text(dose: Dose, times: int, in_mg: bool, pen: Pen) -> str:
    often = pen.random.choice(OFTEN[times])
    mg = f"{dose.mg_per_day / times:g}"
    if in_mg:
        return _noted(pen, pen.random.choice(IN_MG).format(mg=mg, often=often, OFTEN=often.upper()))
    assert dose.pieces_per_day
    each = dose.pieces_per_day / times
    if dose.piece != "mL" and (each, times) in UK and each != dose.mg_each and pen.chance(0.3):
        return _noted(pen, pen.random.choice(UK[each, times]))
    pattern = pen.random.choice(PIECES)
    if dose.piece == "mL" or ("{word}" in pattern and each not in WORDS):
        pattern = PIECES[0]
    piece = dose.piece if each <= 1 or dose.piece == "mL" else dose.piece + "s"
    if "{word}" in pattern and each == 0.5:
        pattern = "Take half a {piece} {often}"
    short = {"tablet": "tab", "capsule": "cap", "mL": "mL"}[dose.piece]
    return _noted(
        pen,
        pattern.format(
            n=f"{each:g}", N=f"{each:g}", piece=piece, PIECE=piece.upper(), short=short, often=often,
            OFTEN=often.upper(), mg=mg, word=WORDS.get(each, ""),
        ),
    )  # fmt: skip


def _noted(pen: Pen, text: str) -> str:
    pen.spellings.append(f"sig: {text}")
    return text
