"""A site's own definitions: JSON files → entries, with every mistake named by file, key, value, expected.

A file holds one definition or a list of them, as `schemas/definition.json` says. What the schema cannot
say is checked here: ids that repeat, parameters that contradict each other, categories and agents that no
table knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from cds_service.errors import InputError
from cds_service.tables.definitions import (
    DEFAULT_ID,
    PARAMETERS,
    Entry,
    definition_entries,
    is_evaluable,
    read_definition,
    reading_rules,
)
from cds_service.tables.rows import read_rows
from cds_service.trd.parameters import Definition

OURS = "the definitions of trd-cds"
LONGEST_SHOWN = 60
EXCLUDING_ROLES = ("exclusion", "qualifying_with_flag", "confounder", "medical_mimic")
_TYPES = {
    "object": "an object",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


@dataclass(frozen=True)
class Problem:
    """One mistake. `place` is a JSON path, or line and column where the file is no JSON."""

    file: str
    place: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.file}: {self.place}: expected {self.expected}, found {self.found}"


def read_directory(directory: Path) -> dict[str, Entry]:
    """The entries of all `*.json` files in the directory, by id, in order of file name.

    Raises InputError with every problem, also when there is no such file. What is no file (a directory, a pipe
    that would never end) is a problem and is not opened.
    """
    if not directory.is_dir():
        raise InputError(f"{directory}: expected a directory with definitions, found none")
    paths = sorted(path for path in directory.glob("*.json") if not path.name.startswith("."))
    if not paths:
        raise InputError(f"{directory}: expected at least one *.json file, found none")
    others = [path for path in paths if path.exists() and not path.is_file()]
    entries, problems = check_files([path for path in paths if path not in others])
    problems += [Problem(str(path), "file", "a file", "something else") for path in others]
    if problems:
        raise InputError("; ".join(map(str, problems)))
    return entries


def check_files(paths: Sequence[Path]) -> tuple[dict[str, Entry], list[Problem]]:
    """The sound entries of these files by id, and every problem. Ids must differ from ours and each other."""
    entries: dict[str, Entry] = {}
    problems: list[Problem] = []
    taken = dict.fromkeys(definition_entries(), OURS)
    for path in paths:
        for place, entry, found in _read_file(path):
            problems += found
            id_ = entry.get("id")
            if isinstance(id_, str) and id_ in taken:
                expected = f"an id that no other definition has: this one is taken by {taken[id_]}"
                problems.append(Problem(str(path), f"{place}.id", expected, _shown(id_)))
            elif isinstance(id_, str):
                taken[id_] = str(path)
                if not found:
                    entries[id_] = entry
    return entries, problems


def _read_file(path: Path) -> Iterator[tuple[str, Entry, list[Problem]]]:
    """Each definition of the file with its JSON path and its problems; a file that is no JSON has one."""
    try:
        root = _parse(path)
    except _Unreadable as error:
        yield "$", {}, [Problem(str(path), error.place, error.expected, error.found)]
        return
    if isinstance(root, list) and not root:
        yield "$", {}, [Problem(str(path), "$", "at least one definition", "an empty list")]
        return
    rows = [(f"$[{n}]", one) for n, one in enumerate(root)] if isinstance(root, list) else [("$", root)]
    for place, entry in rows:
        problems = [*_repeated(str(path), place, entry), *_against_schema(str(path), place, entry)]
        if not problems:
            problems = list(_contradictions(str(path), place, entry))
        yield place, entry if isinstance(entry, dict) else {}, problems


# --- bytes to JSON ----------------------------------------------------------------------------------------


class _Unreadable(Exception):
    def __init__(self, place: str, expected: str, found: str) -> None:
        super().__init__(place)
        self.place, self.expected, self.found = place, expected, found


class _Object(dict[str, Any]):
    """A JSON object that remembers which names stood in it more than once."""

    repeated: tuple[str, ...] = ()


def _parse(path: Path) -> Any:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise _Unreadable("file", "a file that can be read", error.strerror or "none") from None
    except UnicodeDecodeError as error:
        raise _Unreadable(f"byte {error.start}", "UTF-8", "other bytes") from None
    try:
        root = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
        json.dumps(root, ensure_ascii=False).encode()
        return root
    except json.JSONDecodeError as error:
        found = text[error.pos : error.pos + 1]
        place = f"line {error.lineno}, column {error.colno}"
        raise _Unreadable(place, "JSON", f"{error.msg} at {_shown(found) if found else 'the end'}") from None
    except UnicodeEncodeError:
        raise _Unreadable("$", "text of whole characters", "half of a surrogate pair") from None
    except RecursionError:
        raise _Unreadable("$", "JSON of reasonable depth", "too many nested levels") from None
    except ValueError as error:
        raise _Unreadable("$", "JSON", str(error)) from None


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    names = [name for name, _ in pairs]
    read = _Object(pairs)
    read.repeated = tuple(dict.fromkeys(name for name in names if names.count(name) > 1))
    return read


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is no JSON number")


def _repeated(file: str, place: str, value: Any) -> Iterator[Problem]:
    if isinstance(value, _Object):
        for name in value.repeated:
            yield Problem(file, _below(place, name), "each key once", "it twice or more")
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in below:
        yield from _repeated(file, _below(place, key), item)


# --- the schema -------------------------------------------------------------------------------------------


def _is_whole(_checker: Any, value: object) -> bool:
    """6.0 is a whole number to JSON Schema, but days and weeks are counted here."""
    return isinstance(value, int) and not isinstance(value, bool)


_TYPES_OF_OURS = Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole)
_Validator: Any = extend(Draft202012Validator, type_checker=_TYPES_OF_OURS)  # type: ignore[no-untyped-call]


@lru_cache(maxsize=1)
def definition_schema() -> dict[str, Any]:
    """The published schema of one definition."""
    text = files("cds_service").joinpath("schemas", "definition.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _against_schema(file: str, place: str, entry: Any) -> Iterator[Problem]:
    seen = set()
    for error in _Validator(definition_schema()).iter_errors(entry):
        for problem in _problems_of(error, file, place):
            if (problem.place, problem.found) not in seen:
                seen.add((problem.place, problem.found))
                yield problem


def _problems_of(error: ValidationError, file: str, place: str) -> Iterator[Problem]:
    found: Any = error.instance
    for step in error.absolute_path:
        place = _below(place, step)
    if error.validator == "required":
        for name in _lacking(error.message):
            yield Problem(file, _below(place, name), _expected_key(name), "nothing")
    elif error.validator == "additionalProperties":
        schema: Any = error.schema
        known = tuple(schema["properties"])
        for name in found:
            if name not in known:
                yield Problem(file, _below(place, name), _known_key(name, known), f"the key {_shown(name)}")
    elif "propertyNames" in error.absolute_schema_path:
        expected = _known_key(found, tuple(PARAMETERS))
        yield Problem(file, _below(place, found), expected, f"the key {_shown(found)}")
    else:
        yield Problem(file, place, _expected(error), _shown(found))


def _lacking(message: str) -> tuple[str, ...]:
    return tuple(re.findall(r"^'(.*)' is a required property$", message)) or (message,)


def _expected_key(name: str) -> str:
    described: dict[str, Any] = definition_schema()["properties"].get(name, {})
    words = described.get("description", "").partition(".")[0]
    return f"this key ({words})" if words else "this key"


def _known_key(name: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"a known key, perhaps {near[0]}" if near else f"one of the keys {', '.join(known)}"


def _expected(error: ValidationError) -> str:
    rule: Any = error.validator_value
    key = str(error.absolute_path[-1]) if error.absolute_path else ""
    match error.validator:
        case "type":
            return " or ".join(_TYPES[name] for name in (rule if isinstance(rule, list) else [rule]))
        case "enum":
            return f"one of {', '.join(map(_shown, rule))}"
        case "minimum":
            return f"{rule:g} or more"
        case "maximum":
            return f"{rule:g} or less"
        case "exclusiveMinimum":
            return f"more than {rule:g}"
        case "pattern" if key == "id":
            return "up to 64 lower-case letters, digits, dots and hyphens"
        case "minLength":
            return "a text that is not empty"
        case "maxLength":
            return f"at most {rule} characters"
        case "minItems":
            return "a list that is not empty"
        case "uniqueItems":
            return "each item once"
    return str(error.message)


# --- what no schema can say -------------------------------------------------------------------------------


def _contradictions(file: str, place: str, entry: Entry) -> Iterator[Problem]:
    """Problems of an entry that is sound by the schema."""
    yield from _unknown_words(file, place, entry)
    if not is_evaluable(entry):
        return
    definition = read_definition(entry)
    for key, expected in _against_each_other(definition, entry):
        where = next(
            (part for part in ("params", "project_fill") if entry.get(part, {}).get(key) is not None), ""
        )
        found = _shown(entry[where][key]) if where else "nothing, and what is filled does not fit"
        yield Problem(file, f"{place}.{where or 'params'}.{key}", expected, found)
    for where, expected, value in _against_the_rule(definition):
        yield Problem(file, f"{place}.{where}", expected, _shown(value))


def _against_each_other(definition: Definition, entry: Entry) -> Iterator[tuple[str, str]]:
    response, partial = definition.response_from_percent, definition.partial_response_from_percent
    if partial > response:
        yield "partial_response_from_percent", f"at most response_from_percent, {response:g}"
    below = definition.nonresponse_below_percent
    if below > response:
        yield "nonresponse_if_improvement_below_pct", f"at most response_from_percent, {response:g}"
    if entry["params"].get("partial_response_counts_as_failure") is True and below <= partial:
        why = f"{below:g} % and more is no failure, and partial response begins at {partial:g} %"
        yield "partial_response_counts_as_failure", f"false: {why}"
    if definition.minimum_days > definition.lookback_days:
        yield "lookback_days", f"at least the length of one trial, {definition.minimum_days} days"
    if definition.suicidality_acute_days > definition.suicidality_window_days:
        expected = f"at most suicidality_window_days, {definition.suicidality_window_days}"
        yield "suicidality_acute_days", expected


def _against_the_rule(definition: Definition) -> Iterator[tuple[str, str, Any]]:
    treatments, staging = definition.treatments, definition.staging
    if treatments and treatments.minimum_days > treatments.window_days:
        expected = f"at least minimum_days, {treatments.minimum_days}"
        yield "treatments.window_days", expected, treatments.window_days
    if treatments:
        for number, name in enumerate(treatments.add_ons):
            if name not in add_on_names():
                expected = f"an agent or a class of augmentation.csv: {', '.join(sorted(add_on_names()))}"
                yield f"treatments.add_ons[{number}]", expected, name
    if staging:
        yield from _unlike_ours(staging.method, [row[:2] for row in staging.points])
        for number, (lowest, highest, _) in enumerate(staging.bands):
            if lowest > highest:
                yield f"staging.bands[{number}].to", f"{lowest:g} or more", highest


def _unlike_ours(method: str, found: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, Any]]:
    ours = {(row["item"], row["level"]) for row in definition_entries()[method]["staging"]["points"]}
    for number, level in enumerate(found):
        if level not in ours or level in found[:number]:
            yield f"staging.points[{number}]", f"an item and level of {method}, once", ": ".join(level)
    for item, level in sorted(ours - set(found)):
        yield "staging.points", f"all items and levels of {method}", f"no {item}: {level}"


def _unknown_words(file: str, place: str, entry: Entry) -> Iterator[Problem]:
    for part in ("params", "project_fill"):
        for number, name in enumerate(entry.get(part, {}).get("exclusions") or ()):
            if name not in exclusion_names():
                expected = f"one of {', '.join(sorted(exclusion_names()))}"
                yield Problem(file, f"{place}.{part}.exclusions[{number}]", expected, _shown(name))


@lru_cache(maxsize=1)
def exclusion_names() -> frozenset[str]:
    """What `exclusions` may name: categories of conditions.csv, and words that stand for some of them."""
    rows = read_rows("conditions.csv", ("category", "role"))
    categories = {row.text("category") for row in rows if row.text("role") in EXCLUDING_ROLES}
    return frozenset(categories | set(reading_rules()["exclusion_members"]["value"]))


@lru_cache(maxsize=1)
def add_on_names() -> frozenset[str]:
    """What `add_ons` may name: agents of augmentation.csv, with or without what their name adds, and classes."""
    names = set()
    for row in read_rows("augmentation.csv", ("agent", "class")):
        agent = row.required("agent")
        names |= {agent, re.sub(r"\s*\(.*\)| XR$| IV$", "", agent), row.required("class")}
    return frozenset(names)


# --- words ------------------------------------------------------------------------------------------------


def _below(place: str, step: str | int) -> str:
    if isinstance(step, int):
        return f"{place}[{step}]"
    return f"{place}.{step}" if re.fullmatch(r"[A-Za-z_]\w*", step) else f"{place}[{_shown(step)}]"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def summary(entries: Iterable[Entry]) -> Iterator[str]:
    """A line a sound definition: what it is, and how much of it is the project's."""
    for entry in entries:
        if not is_evaluable(entry):
            yield f"{entry['id']}, version {entry['version']}: kept, not evaluated"
            continue
        definition = read_definition(entry)
        yield (
            f"{definition.id}, version {definition.version}, hash {definition.content_hash}: sound; "
            f"{len(definition.filled)} open parameters filled as by {DEFAULT_ID} and the reading rules"
        )
