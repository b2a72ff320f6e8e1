"""FHIR files on disk or standard input → one `Collected` for each patient in them.

A file holds a Bundle, one resource, an array of resources, a hook request, or NDJSON of resources or
Bundles. A Bundle stands for itself; single resources of one folder belong together, as in a bulk export.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from cds_service.errors import InputError
from cds_service.fhir_reading.collected import Collected, Entry
from cds_service.fhir_reading.references import (
    ANY_TOPIC,
    LONGEST_REFERENCE,
    TYPED_REFERENCE,
    references_to_drugs,
)
from cds_service.fhir_reading.resource_types import ABOUT_A_PATIENT
from cds_service.fhir_reading.versions import to_r4
from cds_service.trd.record import Unread

STANDARD_INPUT = "-"
LINES = (".ndjson", ".jsonl")
SUFFIXES = (".json", *LINES)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
DEEPEST_BUNDLE = 8


def read_files(paths: Sequence[str], stdin: BinaryIO) -> Iterator[Collected]:
    """Every patient in the files and folders, `-` being `stdin`; Bundles one by one as they are read.

    Raises InputError naming file, line or JSON path, and what was expected.
    """
    if STANDARD_INPUT in paths:
        yield from _read_together([_Source(STANDARD_INPUT, stdin)])
    by_folder: dict[Path, list[_Source]] = defaultdict(list)
    for path in paths:
        if path != STANDARD_INPUT:
            for source in _sources(Path(path)):
                by_folder[Path(source.name).parent].append(source)
    for sources in by_folder.values():
        yield from _read_together(sources)


def read_entries(paths: Sequence[str], stdin: BinaryIO) -> list[Entry]:
    """Every resource in the files and folders, whomever it is about; Bundles taken apart.

    Raises InputError naming file, line or JSON path, and what was expected.
    """
    given = [_Source(STANDARD_INPUT, stdin)] if STANDARD_INPUT in paths else []
    given += [source for path in paths if path != STANDARD_INPUT for source in _sources(Path(path))]
    entries: list[Entry] = []
    for source in given:
        for value, place in _documents(source):
            if isinstance(value, dict) and value.get("resourceType") not in ("Bundle", None):
                entries.append(Entry(value, None, place))
            elif not (source.is_from_folder and _is_foreign(value)):
                entries += _unpack(value, place).entries
    return entries


@dataclass(frozen=True)
class _Source:
    """One file. In a folder that was named as a whole, JSON that is no FHIR is passed over."""

    name: str
    stream: BinaryIO | None = None
    is_from_folder: bool = False


def _sources(path: Path) -> list[_Source]:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        if not files:
            raise InputError(f"{path}: expected .json or .ndjson files in this folder, found none")
        return [_Source(str(file), is_from_folder=True) for file in files]
    if not path.exists():
        raise InputError(f"{path}: expected a file or folder, found none")
    return [_Source(str(path))]


@dataclass
class _Pool:
    """What was read and not yet given to a patient."""

    patient_id: str | None = None
    entries: list[Entry] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


def _read_together(sources: Iterable[_Source]) -> Iterator[Collected]:
    """The Bundles of these files as they come, at the end the patients among their single resources."""
    singles = _Pool()
    name = STANDARD_INPUT
    for source in sources:
        name = source.name
        for value, place in _documents(source):
            if _is_foreign(value) and source.is_from_folder and not name.lower().endswith(LINES):
                continue
            if isinstance(value, dict) and value.get("resourceType") not in ("Bundle", None):
                singles.entries.append(Entry(value, None, place))
            else:
                yield from _patients_in(_unpack(value, place), place)
    if singles.entries:
        yield from _patients_in(singles, name)


def _is_foreign(value: Any) -> bool:
    return not isinstance(value, dict) or not (_is_hook_request(value) or "resourceType" in value)


def _is_hook_request(value: dict[str, Any]) -> bool:
    return isinstance(value.get("prefetch"), dict) and isinstance(value.get("context"), dict)


# --- documents ----------------------------------------------------------------------------------------


def _documents(source: _Source) -> Iterator[tuple[Any, str]]:
    """Every JSON value in the file with its place: one, the items of an array, or one a line."""
    with _opened(source) as stream:
        first = stream.readline().removeprefix(BYTE_ORDER_MARK)
        value = _object_or_none(first)
        if value is not None or source.name.lower().endswith(LINES):
            yield from _lines(source.name, first, value, stream)
            return
        value = _decode(first + stream.read(), source.name, 1)
    if isinstance(value, list):
        yield from ((item, f"{source.name} $[{index}]") for index, item in enumerate(value))
    else:
        yield value, source.name


def _lines(name: str, first: bytes, value: Any, others: BinaryIO) -> Iterator[tuple[Any, str]]:
    """The values of NDJSON; a file that is one line of JSON is the same."""
    if value is not None:
        yield value, f"{name}:1"
    elif first.strip():
        yield _decode(first, name, 1), f"{name}:1"
    for number, line in enumerate(others, start=2):
        if line.strip():
            yield _decode(line, name, number), f"{name}:{number}"


@contextmanager
def _opened(source: _Source) -> Iterator[BinaryIO]:
    if source.stream is not None:
        yield source.stream
        return
    try:
        with Path(source.name).open("rb") as stream:
            yield stream
    except OSError as error:
        raise InputError(f"{source.name}: expected a readable file: {error.strerror}") from None


def _object_or_none(line: bytes) -> dict[str, Any] | None:
    """The object that this line is by itself, None when it is something else or the start of something."""
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _decode(text: bytes, name: str, first_line: int) -> Any:
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise InputError(f"{name}:{first_line}: expected FHIR JSON, found it nested too deeply") from None
    except UnicodeDecodeError as error:
        line = first_line + text.count(b"\n", 0, error.start)
        raise InputError(f"{name}:{line}: expected UTF-8, found other bytes") from None
    except msgspec.DecodeError as error:
        found = re.search(r"\(byte (\d+)\)", str(error))
        line = first_line + text.count(b"\n", 0, int(found[1]) if found else len(text.rstrip()))
        raise InputError(f"{name}:{line}: expected FHIR JSON: {_reason(error)}") from None


def _reason(error: msgspec.DecodeError) -> str:
    """msgspec's reason in lower case and without the byte; it never quotes the data."""
    text = re.sub(r" \(byte \d+\)", "", str(error)).removeprefix("JSON is malformed: ")
    return text[:1].lower() + text[1:200]


# --- Bundles ------------------------------------------------------------------------------------------


def _unpack(value: Any, place: str) -> _Pool:
    """The resources in a Bundle or in the prefetch of a hook request."""
    pool = _Pool()
    if not isinstance(value, dict):
        raise InputError(f"{place}: expected a FHIR resource, found {_kind(value)}")
    if value.get("resourceType") == "Bundle":
        _unpack_bundle(value, place, pool)
    elif _is_hook_request(value):
        _unpack_hook_request(value, place, pool)
    else:
        raise InputError(f"{place}: at $.resourceType: expected the name of a FHIR resource, found nothing")
    return pool


def _unpack_hook_request(request: dict[str, Any], place: str, pool: _Pool) -> None:
    patient_id = request["context"].get("patientId")
    pool.patient_id = patient_id if isinstance(patient_id, str) else None
    for key, value in request["prefetch"].items():
        _unpack_resource(value, None, f"{place} $.prefetch.{key}", pool)


def _unpack_bundle(bundle: dict[str, Any], place: str, pool: _Pool, depth: int = 0) -> None:
    rows = bundle.get("entry", [])
    if not isinstance(rows, list):
        raise InputError(f"{place}: at $.entry: expected an array, found {_kind(rows)}")
    _note_other_pages(bundle, place, pool)
    for number, row in enumerate(rows):
        where = f"{place} $.entry[{number}]"
        if not isinstance(row, dict):
            pool.unread.append(Unread(where, f"expected an object, found {_kind(row)}", ANY_TOPIC))
        elif row.get("resource") is not None:
            full_url = row.get("fullUrl")
            url = full_url if isinstance(full_url, str) else None
            _unpack_resource(row["resource"], url, f"{where}.resource", pool, depth)
        elif not (isinstance(row.get("request"), dict) or isinstance(row.get("response"), dict)):
            pool.unread.append(Unread(where, "expected a resource, found nothing", ANY_TOPIC))


def _note_other_pages(bundle: dict[str, Any], place: str, pool: _Pool) -> None:
    """A search result that goes on elsewhere is not the whole record."""
    links = bundle.get("link")
    if isinstance(links, list) and any(isinstance(x, dict) and x.get("relation") == "next" for x in links):
        pool.unread.append(Unread(place, "is one page of several, the others are not at hand", ANY_TOPIC))


def _unpack_resource(resource: Any, url: str | None, place: str, pool: _Pool, depth: int = 0) -> None:
    if resource is None:
        return
    if not isinstance(resource, dict):
        pool.unread.append(Unread(place, f"expected an object, found {_kind(resource)}", ANY_TOPIC))
    elif resource.get("resourceType") == "Bundle" and depth < DEEPEST_BUNDLE:
        _unpack_bundle(resource, place, pool, depth + 1)
    elif resource.get("resourceType") == "OperationOutcome":
        _note_errors(resource, place, pool)
    else:
        pool.entries.append(Entry(resource, url, place))


def _note_errors(outcome: dict[str, Any], place: str, pool: _Pool) -> None:
    """An error among search results means that some are lacking."""
    issues = outcome.get("issue")
    for issue in issues if isinstance(issues, list) else []:
        if isinstance(issue, dict) and issue.get("severity") in ("error", "fatal"):
            pool.unread.append(Unread(place, "is an error in place of data", ANY_TOPIC))
            return


def _kind(value: Any) -> str:
    kinds = {bool: "a boolean", str: "a string", list: "an array", dict: "an object", type(None): "null"}
    return kinds.get(type(value), "a number")


# --- patients -----------------------------------------------------------------------------------------


def _patients_in(pool: _Pool, place: str) -> Iterator[Collected]:
    """One collection for each patient of the pool; one with a single Patient resource is kept whole."""
    entries = [_with_id(entry) for entry in pool.entries]
    names = _names_of_patients(entries)
    if pool.patient_id is not None:
        yield Collected(pool.patient_id, tuple(entries), unread=tuple(pool.unread))
        return
    owners = [_owner(entry.resource, names) for entry in entries]
    patient_ids = list(dict.fromkeys(names.values()))
    if len(patient_ids) != 1:
        patient_ids = list(dict.fromkeys([*patient_ids, *(owner for owner in owners if owner)]))
    if len(patient_ids) == 1:
        yield Collected(patient_ids[0], tuple(entries), unread=tuple(pool.unread))
    elif patient_ids:
        yield from _divide(entries, owners, patient_ids, tuple(pool.unread))
    elif pool.unread or any(entry.resource.get("resourceType") in ABOUT_A_PATIENT for entry in entries):
        raise InputError(f"{place}: expected a Patient, or a subject that names one, found neither")


def _with_id(entry: Entry) -> Entry:
    """A Patient that is only known by its full URL, as in a transaction, takes its id from there."""
    if entry.resource.get("resourceType") != "Patient" or entry.resource.get("id") is not None:
        return entry
    logical_id = re.split(r"[/:]", entry.full_url or "")[-1]
    return Entry({**entry.resource, "id": logical_id}, entry.full_url, entry.place) if logical_id else entry


def _names_of_patients(entries: Iterable[Entry]) -> dict[str, str]:
    """The id of every Patient resource by each name that a reference may use."""
    names: dict[str, str] = {}
    for entry in entries:
        logical_id = entry.resource.get("id")
        if entry.resource.get("resourceType") == "Patient" and isinstance(logical_id, str) and logical_id:
            names[f"Patient/{logical_id}"] = names[f"urn:uuid:{logical_id}"] = logical_id
            if entry.full_url:
                names[entry.full_url] = logical_id
    return names


def _owner(resource: dict[str, Any], names: dict[str, str]) -> str | None:
    """The id of the patient that the resource is or is about, None if it names none."""
    if resource.get("resourceType") == "Patient":
        return names.get(f"Patient/{resource.get('id')}")
    subject = resource.get("subject", resource.get("patient"))
    reference = subject.get("reference") if isinstance(subject, dict) else None
    if not isinstance(reference, str):
        return None
    parts = TYPED_REFERENCE.fullmatch(reference[:LONGEST_REFERENCE])
    is_patient = parts is not None and parts["type"] == "Patient"
    return names.get(reference) or (parts["id"] if parts and is_patient else None)


def _divide(
    entries: Sequence[Entry],
    owners: Sequence[str | None],
    patient_ids: Sequence[str],
    unread: tuple[Unread, ...],
) -> Iterator[Collected]:
    """Each patient's own resources, the Medications these order, and what may be anybody's."""
    own: dict[str, list[Entry]] = defaultdict(list)
    anybodys: list[Entry] = []
    medications: dict[str, Entry] = {}
    for entry, owner in zip(entries, owners, strict=True):
        if owner is not None:
            own[owner].append(entry)
        elif entry.resource.get("resourceType") == "Medication":
            medications.update(dict.fromkeys(_names_of_medication(entry), entry))
        elif not _names_somebody(entry.resource):
            anybodys.append(entry)
    for patient_id in patient_ids:
        names = (name for record in own[patient_id] for name in _medications_named(record))
        ordered = {id(found): found for name in names if (found := medications.get(name))}
        yield Collected(patient_id, (*own[patient_id], *ordered.values(), *anybodys), unread=unread)


def _names_somebody(resource: dict[str, Any]) -> bool:
    """Whether it is of a type that is about no patient, or says whom it is about."""
    return resource.get("resourceType") not in ABOUT_A_PATIENT and isinstance(
        resource.get("resourceType"), str
    )


def _names_of_medication(entry: Entry) -> Iterator[str]:
    yield f"Medication/{entry.resource.get('id')}"
    if entry.full_url:
        yield entry.full_url


def _medications_named(record: Entry) -> Iterator[str]:
    """The names of the Medications that an order points at, or an adverse event suspects."""
    for pointer in references_to_drugs(to_r4(record.resource)):
        reference = pointer.get("reference") if isinstance(pointer, dict) else None
        if isinstance(reference, str):
            parts = TYPED_REFERENCE.fullmatch(reference[:LONGEST_REFERENCE])
            is_typed = parts is not None and parts["type"] == "Medication"
            yield f"Medication/{parts['id']}" if parts and is_typed else reference
