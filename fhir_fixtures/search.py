"""FHIR R4 search: which resources of one type a query string asks for, and in which order.

Turns `[("patient", "p1"), ("authoredon", "ge2025")]` into a test of one resource. Knows the search
parameters of the types that a depression pathway reads; every other type can be searched by `_id`,
`_lastUpdated` and `identifier`. A parameter that is not known is refused, as HAPI does by default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_fixtures.refusals import Refused
from fhir_fixtures.resource_types import resource_types

Resource = dict[str, Any]
Test = Callable[[Resource], bool]


@dataclass(frozen=True)
class SearchParameter:
    """One search parameter: its FHIR type and the elements it looks at (`a.b` is b within a)."""

    kind: str
    elements: tuple[str, ...]
    target: str | None = None


def _token(*elements: str) -> SearchParameter:
    return SearchParameter("token", elements)


def _date(*elements: str) -> SearchParameter:
    return SearchParameter("date", elements)


def _string(*elements: str) -> SearchParameter:
    return SearchParameter("string", elements)


def _reference(element: str, target: str | None = None) -> SearchParameter:
    return SearchParameter("reference", (element,), target)


OF_ALL_TYPES = {
    "_id": _token("id"),
    "_lastUpdated": _date("meta.lastUpdated"),
    "identifier": _token("identifier"),
}
OF_A_PATIENT = {
    "patient": _reference("subject", "Patient"),
    "subject": _reference("subject"),
    "encounter": _reference("encounter", "Encounter"),
    "status": _token("status"),
    "code": _token("code"),
    "category": _token("category"),
}
OF_A_MEDICATION_EVENT = OF_A_PATIENT | {
    "code": _token("medicationCodeableConcept"),
    "medication": _reference("medicationReference", "Medication"),
}
EFFECTIVE = _date("effectiveDateTime", "effectivePeriod", "effectiveInstant", "effectiveTiming.event")
PERFORMED = _date("performedDateTime", "performedPeriod")

OF_TYPE: dict[str, dict[str, SearchParameter]] = {
    "Patient": {
        "birthdate": _date("birthDate"),
        "gender": _token("gender"),
        "name": _string("name.text", "name.family", "name.given"),
        "family": _string("name.family"),
        "given": _string("name.given"),
    },
    "Condition": OF_A_PATIENT
    | {
        "clinical-status": _token("clinicalStatus"),
        "verification-status": _token("verificationStatus"),
        "onset-date": _date("onsetDateTime", "onsetPeriod"),
        "abatement-date": _date("abatementDateTime", "abatementPeriod"),
        "recorded-date": _date("recordedDate"),
    },
    "Observation": OF_A_PATIENT
    | {
        "date": EFFECTIVE,
        "component-code": _token("component.code"),
        "combo-code": _token("code", "component.code"),
        "has-member": _reference("hasMember"),
    },
    "MedicationRequest": OF_A_MEDICATION_EVENT
    | {
        "intent": _token("intent"),
        "authoredon": _date("authoredOn"),
        "date": _date("dosageInstruction.timing.event"),
        "-timing-boundsPeriod": _date("dosageInstruction.timing.repeat.boundsPeriod"),  # Oracle Health's own
    },
    "MedicationDispense": OF_A_MEDICATION_EVENT
    | {"whenhandedover": _date("whenHandedOver"), "whenprepared": _date("whenPrepared")},
    "MedicationStatement": OF_A_MEDICATION_EVENT
    | {"effective": _date("effectiveDateTime", "effectivePeriod")},
    "MedicationAdministration": OF_A_MEDICATION_EVENT
    | {"effective-time": _date("effectiveDateTime", "effectivePeriod")},
    "Medication": {"code": _token("code"), "status": _token("status")},
    "Procedure": OF_A_PATIENT | {"date": PERFORMED},
    "AdverseEvent": {
        "subject": _reference("subject"),
        "actuality": _token("actuality"),
        "category": _token("category"),
        "event": _token("event"),
        "date": _date("date"),
    },
    "AllergyIntolerance": {
        "patient": _reference("patient", "Patient"),
        "clinical-status": _token("clinicalStatus"),
        "verification-status": _token("verificationStatus"),
        "type": _token("type"),
        "category": _token("category"),
        "code": _token("code", "reaction.substance"),
        "date": _date("recordedDate"),
        "last-date": _date("lastOccurrence"),
        "onset": _date("reaction.onset"),
    },
    "Encounter": OF_A_PATIENT | {"class": _token("class"), "date": _date("period")},
    "QuestionnaireResponse": {
        name: OF_A_PATIENT[name] for name in ("patient", "subject", "encounter", "status")
    }
    | {"authored": _date("authored")},
    "ServiceRequest": OF_A_PATIENT | {"intent": _token("intent"), "authored": _date("authoredOn")},
}


def parameters_of(type: str) -> dict[str, SearchParameter]:
    return OF_ALL_TYPES | OF_TYPE.get(type, {})


def find_matching(
    resources: list[Resource], type: str, query: list[tuple[str, str]], base_url: str = ""
) -> list[Resource]:
    """Those that pass every parameter: repeated parameters are "and", commas are "or"."""
    tests = [_test_for(type, name, value, base_url) for name, value in query]
    return [resource for resource in resources if all(test(resource) for test in tests)]


def sort_resources(resources: list[Resource], type: str, sort: str) -> list[Resource]:
    """By date parameters, `_id` or `_lastUpdated`, the first named weighing most; no value comes last."""
    for key in reversed([key for key in sort.split(",") if key]):
        name, is_descending = key.removeprefix("-"), key.startswith("-")
        parameter = parameters_of(type).get(name)
        if parameter is None or (parameter.kind != "date" and name != "_id"):
            raise Refused(400, "not-supported", f"_sort: cannot sort {type} by {name!r}")
        resources = _sorted_by(resources, parameter, is_descending)
    return resources


def references_at(resource: Resource, parameter: SearchParameter) -> list[str]:
    """The `Type/id` texts that a reference parameter finds in this resource."""
    found = (value.get("reference") for value in _values(resource, parameter) if isinstance(value, dict))
    return [reference for reference in found if isinstance(reference, str)]


# --- one parameter ------------------------------------------------------------------------------------


def _test_for(type: str, name: str, value: str, base_url: str) -> Test:
    plain_name, _, modifier = name.partition(":")
    parameter = parameters_of(type).get(plain_name)
    if parameter is None:
        known = ", ".join(sorted(parameters_of(type)))
        raise Refused(400, "not-supported", f"Unknown search parameter {name!r} for {type}; known: {known}")
    if modifier == "missing":
        return _missing_test(parameter, value)
    if modifier == "not" and parameter.kind == "token":
        is_match = _any_test(parameter, value, base_url)
        return lambda resource: not is_match(resource)
    if modifier in resource_types() and parameter.kind == "reference":
        return _any_test(parameter, ",".join(f"{modifier}/{id}" for id in _split(value, ",")), base_url)
    if modifier and modifier not in MODIFIERS.get(parameter.kind, {}):
        raise Refused(400, "not-supported", f"Modifier {modifier!r} is not supported for {plain_name!r}")
    return _any_test(parameter, value, base_url, modifier)


def _missing_test(parameter: SearchParameter, value: str) -> Test:
    if value not in ("true", "false"):
        raise Refused(400, "value", f":missing takes true or false, not {value[:20]!r}")
    return lambda resource: (not _values(resource, parameter)) == (value == "true")


def _any_test(parameter: SearchParameter, value: str, base_url: str, modifier: str = "") -> Test:
    alternatives = [one for one in _split(value, ",") if one]
    if not alternatives:
        raise Refused(400, "value", "A search parameter has no value")
    tests = [_value_test(parameter, one, base_url, modifier) for one in alternatives]
    return lambda resource: any(test(found) for found in _values(resource, parameter) for test in tests)


def _value_test(
    parameter: SearchParameter, wanted: str, base_url: str, modifier: str
) -> Callable[[Any], bool]:
    if modifier:
        return MODIFIERS[parameter.kind][modifier](_unescaped(wanted))
    if parameter.kind == "token":
        return _token_test(wanted)
    if parameter.kind == "reference":
        return _reference_test(wanted, parameter.target, base_url)
    if parameter.kind == "date":
        return _date_test(wanted)
    return _starts_with(_unescaped(wanted))


def _values(resource: Resource, parameter: SearchParameter) -> list[Any]:
    return [value for path in parameter.elements for value in _at(resource, path.split("."))]


def _at(value: Any, path: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _at(item, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from _at(value[path[0]], path[1:])


def _split(value: str, separator: str) -> list[str]:
    """Parts between separators that no backslash precedes."""
    return re.split(rf"(?<!\\){re.escape(separator)}", value)


def _unescaped(value: str) -> str:
    return re.sub(r"\\([,|$\\])", r"\1", value)


# --- texts ----------------------------------------------------------------------------------------------


def _starts_with(wanted: str) -> Callable[[Any], bool]:
    return lambda found: isinstance(found, str) and found.casefold().startswith(wanted.casefold())


def _contains(wanted: str) -> Callable[[Any], bool]:
    return lambda found: isinstance(found, str) and wanted.casefold() in found.casefold()


def _is_exactly(wanted: str) -> Callable[[Any], bool]:
    return lambda found: bool(found == wanted)


def _text_starts_with(wanted: str) -> Callable[[Any], bool]:
    is_match = _starts_with(wanted)
    return lambda found: any(is_match(text) for text in _texts_of(found))


def _texts_of(value: Any) -> list[Any]:
    """The texts of a CodeableConcept, a Coding or the type of an Identifier."""
    if not isinstance(value, dict):
        return []
    codings = value["coding"] if isinstance(value.get("coding"), list) else []
    displays = [coding.get("display") for coding in codings if isinstance(coding, dict)]
    return [value.get("text"), value.get("display"), *displays, *_texts_of(value.get("type"))]


# Beside `:missing`, `:not` of tokens and a type for references. FHIR wants others refused, not ignored.
MODIFIERS: dict[str, dict[str, Callable[[str], Callable[[Any], bool]]]] = {
    "string": {"exact": _is_exactly, "contains": _contains},
    "token": {"text": _text_starts_with},
}


# --- tokens -------------------------------------------------------------------------------------------


def _token_test(wanted: str) -> Callable[[Any], bool]:
    """`code` in any system, `system|code`, `|code` without a system, `system|` with any code."""
    parts = [_unescaped(part) for part in _split(wanted, "|")]
    if len(parts) > 2:
        raise Refused(400, "value", "A token is written system|code")
    system, code = parts if len(parts) == 2 else (None, parts[0])

    def is_match(found: Any) -> bool:
        return any(
            (system is None or system == (its_system or "")) and (its_code == code or (not code and system))
            for its_system, its_code in _codes_in(found)
        )

    return is_match


def _codes_in(value: Any) -> list[tuple[Any, Any]]:
    """The (system, code) pairs of a code, boolean, Coding, Identifier or CodeableConcept."""
    if isinstance(value, bool):
        return [(None, str(value).lower())]
    if not isinstance(value, dict):
        return [(None, value)]
    if isinstance(value.get("coding"), list):
        return [pair for coding in value["coding"] for pair in _codes_in(coding)]
    return [(value.get("system"), value.get("code", value.get("value")))]


# --- references ---------------------------------------------------------------------------------------


def _reference_test(wanted: str, target: str | None, base_url: str) -> Callable[[Any], bool]:
    local = _without_version(_unescaped(wanted), base_url)
    if target and "/" not in local and not local.startswith("urn:"):
        local = f"{target}/{local}"

    def is_match(found: Any) -> bool:
        reference = found.get("reference") if isinstance(found, dict) else None
        if not isinstance(reference, str):
            return False
        its_address = _without_version(reference, base_url)
        if target and not its_address.startswith((f"{target}/", "http:", "https:", "urn:")):
            return False
        its_type, slash, its_id = its_address.partition("/")
        return its_address == local or (its_id == local and bool(its_type and slash) and "/" not in its_id)

    return is_match


def _without_version(reference: str, base_url: str) -> str:
    return reference.removeprefix(f"{base_url}/" if base_url else "").partition("/_history/")[0]


# --- dates --------------------------------------------------------------------------------------------

FHIR_DATE_TIME = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(\d.*)")
FIRST_MOMENT = datetime.min.replace(tzinfo=UTC)
LAST_MOMENT = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Span:
    """The moments a date may mean: from `start` up to, and without, `end`."""

    start: datetime
    end: datetime

    def contains(self, other: Span) -> bool:
        return self.start <= other.start and other.end <= self.end

    def overlaps(self, other: Span) -> bool:
        return self.start < other.end and other.start < self.end


COMPARISONS: dict[str, Callable[[Span, Span], bool]] = {
    "eq": lambda wanted, found: wanted.contains(found),
    "ne": lambda wanted, found: not wanted.contains(found),
    "gt": lambda wanted, found: found.end > wanted.end,
    "lt": lambda wanted, found: found.start < wanted.start,
    "ge": lambda wanted, found: found.end > wanted.start,
    "le": lambda wanted, found: found.start < wanted.end,
    "sa": lambda wanted, found: found.start >= wanted.end,
    "eb": lambda wanted, found: found.end <= wanted.start,
    "ap": lambda wanted, found: wanted.overlaps(found),
}


def _date_test(wanted: str) -> Callable[[Any], bool]:
    match = PREFIXED.fullmatch(wanted)
    span = match and span_of(match[2])
    if not match or not span:
        raise Refused(400, "value", f"Not a FHIR date, with or without a prefix such as ge: {wanted[:40]!r}")
    holds = COMPARISONS[match[1] or "eq"]

    def is_match(found: Any) -> bool:
        its_span = span_of(found)
        return its_span is not None and holds(span, its_span)

    return is_match


def span_of(value: Any) -> Span | None:
    """The moments that a date, dateTime, instant or Period covers; None if it is none of them.

    A time without a zone counts as UTC.
    """
    if isinstance(value, dict):
        return _span_of_period(value)
    match = FHIR_DATE_TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    try:
        return _span_of_parts(*match.groups())
    except (ValueError, OverflowError):
        return None


def _span_of_period(period: dict[str, Any]) -> Span | None:
    start, end = span_of(period.get("start")), span_of(period.get("end"))
    if start is None and end is None:
        return None
    return Span(start.start if start else FIRST_MOMENT, end.end if end else LAST_MOMENT)


def _span_of_parts(
    year: str,
    month: str | None,
    day: str | None,
    hour: str | None,
    minute: str | None,
    second: str | None,
    zone: str | None,
) -> Span:
    start = datetime(int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), tzinfo=UTC)
    if hour is not None:
        moment = start.replace(second=int(second or 0)) - _offset(zone)
        return Span(moment, moment + (timedelta(seconds=1) if second else timedelta(minutes=1)))
    if day:
        return Span(start, start + timedelta(days=1))
    if month:
        return Span(start, (start + timedelta(days=31)).replace(day=1))
    return Span(start, start.replace(year=start.year + 1))


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone == "Z":
        return timedelta()
    sign = -1 if zone.startswith("-") else 1
    return sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))


def _sorted_by(resources: list[Resource], parameter: SearchParameter, is_descending: bool) -> list[Resource]:
    keyed = [(_sort_key(resource, parameter), resource) for resource in resources]
    with_value = [pair for pair in keyed if pair[0] is not None]
    with_value.sort(key=lambda pair: pair[0], reverse=is_descending)
    return [resource for _, resource in with_value] + [resource for key, resource in keyed if key is None]


def _sort_key(resource: Resource, parameter: SearchParameter) -> Any:
    values = _values(resource, parameter)
    if parameter.kind == "token":
        return str(values[0]) if values else None
    spans = [span for span in map(span_of, values) if span]
    return spans[0].start if spans else None
