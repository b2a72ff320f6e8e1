"""A Dosage as FHIR DSTU2, STU3 or R5 writes it → the same in R4.

Told by its own elements, none of which R4 has: the flat dose of STU3 and DSTU2, the `quantity` of a DSTU2
statement, `periodUnits` of DSTU2, `asNeeded` and `asNeededFor` of R5.
"""

from __future__ import annotations

from typing import Any

from cds_service.fhir_reading.renaming import Members, extend, move, put, wrap

AMOUNTS = {
    "doseQuantity": "doseQuantity",
    "doseRange": "doseRange",
    "quantityQuantity": "doseQuantity",
    "quantityRange": "doseRange",
    "rateQuantity": "rateQuantity",
    "rateRange": "rateRange",
    "rateRatio": "rateRatio",
}
NAMES = {"additionalInstructions": "additionalInstruction", "asNeeded": "asNeededBoolean"}
NOT_IN_R4 = frozenset({*AMOUNTS, *NAMES, "asNeededFor"})
REPEAT_NAMES = {
    "periodUnits": "periodUnit",
    "durationUnits": "durationUnit",
    "boundsQuantity": "boundsDuration",
}
REPEAT_NOT_IN_R4 = frozenset(REPEAT_NAMES)


def dosage_to_r4(dosage: Members) -> Members:
    """The dosage in the elements of R4; the very same object when it is in R4 already."""
    if not NOT_IN_R4.isdisjoint(dosage):
        dosage = _renamed(dosage)
    if isinstance(dosage.get("maxDosePerPeriod"), list):
        dosage = _with_one_limit(dosage)
    timing = dosage.get("timing")
    if not isinstance(timing, dict) or not isinstance(timing.get("repeat"), dict):
        return dosage
    repeat = _repeat_to_r4(timing["repeat"])
    is_in_r4 = repeat is timing["repeat"]
    return dosage if is_in_r4 else {**dosage, "timing": {**timing, "repeat": repeat}}


def _renamed(dosage: Members) -> Members:
    after = dict(dosage)
    amounts: Members = {name: after.pop(name) for name in AMOUNTS if name in after}
    move(amounts, {old: new for old, new in AMOUNTS.items() if old != new})
    extend(after, "doseAndRate", [amounts] if amounts else [])
    move(after, NAMES)
    wrap(after, "additionalInstruction")
    _put_reasons_of_need(after, after.pop("asNeededFor", None))
    return after


def _put_reasons_of_need(dosage: Members, reasons: Any) -> None:
    """One of several stands for all: that it is taken as needed is what matters, not for what.

    A dosage that is not taken as needed and yet for a need contradicts itself, so that cannot be read.
    """
    if reasons is None or reasons == []:
        return
    only = reasons[0] if isinstance(reasons, list) else reasons
    put(dosage, "asNeededCodeableConcept", only)
    if dosage.get("asNeededBoolean") is False:
        dosage["asNeededBoolean"] = [False, only]


def _with_one_limit(dosage: Members) -> Members:
    limits = dosage["maxDosePerPeriod"]
    return {**dosage, "maxDosePerPeriod": limits[0]} if len(limits) == 1 else dosage


def _repeat_to_r4(repeat: Members) -> Members:
    if REPEAT_NOT_IN_R4.isdisjoint(repeat) and not isinstance(repeat.get("when"), str):
        return repeat
    after = dict(repeat)
    move(after, REPEAT_NAMES)
    wrap(after, "when")
    return after
