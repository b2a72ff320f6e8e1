"""Files and folders: how patients are found in them, and what is said about files that cannot be read."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import InputError
from cds_service.fhir_reading.collected import Collected
from cds_service.input_files import read_files
from cds_service.trd.record import Topic
from fhir_fixtures.builders import (
    bundle,
    condition,
    medication,
    medication_request,
    observation,
    patient,
    searchset,
)


def write(path: Path, *values: Any) -> str:
    """One JSON value, or one a line for NDJSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(value) for value in values), "utf-8")
    return str(path)


def read(*paths: object, stdin: bytes = b"") -> list[Collected]:
    return list(read_files([str(path) for path in paths], io.BytesIO(stdin)))


def summary(collections: Iterable[Collected]) -> dict[str, list[str]]:
    """The ids of each patient's resources."""
    return {c.patient_id: [str(entry.resource.get("id")) for entry in c.entries] for c in collections}


def chart(patient_id: str) -> list[dict[str, Any]]:
    return [patient(patient_id), observation(f"o-{patient_id}", patient_id=patient_id)]


# --- what a file may hold -----------------------------------------------------------------------------


def test_a_bundle_is_a_patient(tmp_path: Path) -> None:
    assert summary(read(write(tmp_path / "a.json", bundle(*chart("p1"))))) == {"p1": ["p1", "o-p1"]}


def test_a_pretty_printed_bundle_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(bundle(*chart("p1")), indent=2).encode())
    assert summary(read(file)) == {"p1": ["p1", "o-p1"]}


def test_a_bundle_of_several_patients_is_divided(tmp_path: Path) -> None:
    order = medication_request("rx", None, patient_id="p2", medicationReference={"reference": "Medication/m"})
    whole = bundle(
        *chart("p1"), *chart("p2"), order, medication("m"), {"resourceType": "Practitioner", "id": "d"}
    )
    assert summary(read(write(tmp_path / "a.json", whole))) == {
        "p1": ["p1", "o-p1"],
        "p2": ["p2", "o-p2", "rx", "m"],
    }


def test_orders_of_other_versions_find_their_patient_and_medication(tmp_path: Path) -> None:
    subject, pointer = {"reference": "Patient/p2"}, {"reference": "Medication/m"}
    of_r5 = {"resourceType": "MedicationRequest", "id": "r5", "subject": subject}
    of_r5["medication"] = {"reference": pointer}
    of_dstu2 = {"resourceType": "MedicationOrder", "id": "d2", "patient": subject}
    file = write(tmp_path / "a.json", bundle(*chart("p1"), patient("p2"), of_r5, of_dstu2, medication("m")))
    assert summary(read(file)) == {"p1": ["p1", "o-p1"], "p2": ["p2", "r5", "d2", "m"]}


def test_an_order_of_dstu2_alone_tells_the_patient(tmp_path: Path) -> None:
    order = {"resourceType": "MedicationOrder", "id": "d2", "patient": {"reference": "Patient/p2"}}
    assert summary(read(write(tmp_path / "a.json", order))) == {"p2": ["d2"]}


def test_in_a_bundle_of_several_what_names_nobody_may_be_anybodys(tmp_path: Path) -> None:
    whole = bundle(patient("p1"), patient("p2"), observation("o", subject=None))
    assert summary(read(write(tmp_path / "a.json", whole))) == {"p1": ["p1", "o"], "p2": ["p2", "o"]}


def test_a_bundle_with_one_patient_is_kept_whole(tmp_path: Path) -> None:
    whole = bundle(patient("p1"), observation("o", patient_id="p2"))
    assert summary(read(write(tmp_path / "a.json", whole))) == {"p1": ["p1", "o"]}


def test_without_patient_resources_the_subjects_tell(tmp_path: Path) -> None:
    whole = bundle(observation("o1", patient_id="p1"), condition("c2", patient_id="p2"))
    assert summary(read(write(tmp_path / "a.json", whole))) == {"p1": ["o1"], "p2": ["c2"]}


def test_a_patient_of_a_transaction_is_known_by_its_full_url(tmp_path: Path) -> None:
    url = "urn:uuid:11111111-2222-3333-4444-555555555555"
    person = patient()
    del person["id"]
    order = observation("o") | {"subject": {"reference": url}}
    entries = [{"fullUrl": url, "resource": person}, {"fullUrl": "urn:uuid:2", "resource": order}]
    found = read(
        write(tmp_path / "a.json", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    )
    assert [(c.patient_id, len(c.entries)) for c in found] == [("11111111-2222-3333-4444-555555555555", 2)]


def test_bundles_within_a_bundle_are_opened(tmp_path: Path) -> None:
    outer = bundle(searchset(patient("p1")), searchset(observation("o1")))
    assert summary(read(write(tmp_path / "a.json", outer))) == {"p1": ["p1", "o1"]}


def test_an_array_holds_resources_of_one_pool(tmp_path: Path) -> None:
    assert summary(read(write(tmp_path / "a.json", [*chart("p1"), *chart("p2")]))) == {
        "p1": ["p1", "o-p1"],
        "p2": ["p2", "o-p2"],
    }


def test_a_hook_request_gives_its_prefetch(tmp_path: Path) -> None:
    request = {
        "hook": "patient-view",
        "context": {"patientId": "p1"},
        "prefetch": {
            "patient": patient("p1"),
            "observations": searchset(observation("o1")),
            "conditions": None,
        },
    }
    assert summary(read(write(tmp_path / "a.json", request))) == {"p1": ["p1", "o1"]}


# --- several files ------------------------------------------------------------------------------------


def test_single_resources_of_a_folder_belong_together(tmp_path: Path) -> None:
    write(tmp_path / "one" / "Patient.json", patient("p1"))
    write(tmp_path / "one" / "Observation-1.json", observation("o1"))
    write(tmp_path / "two" / "Patient.json", patient("p2"))
    write(tmp_path / "two" / "notes.txt", "no JSON")
    assert summary(read(tmp_path)) == {"p1": ["o1", "p1"], "p2": ["p2"]}


def test_a_bulk_export_is_grouped_by_patient(tmp_path: Path) -> None:
    write(tmp_path / "Patient.000.ndjson", patient("p1"), patient("p2"))
    write(tmp_path / "Observation.000.ndjson", observation("o2", patient_id="p2"), observation("o1"))
    assert summary(read(tmp_path)) == {"p1": ["o1", "p1"], "p2": ["o2", "p2"]}


def test_bundles_of_a_folder_stay_apart(tmp_path: Path) -> None:
    write(tmp_path / "a.json", bundle(*chart("p1")))
    write(tmp_path / "b.json", bundle(*chart("p2")))
    assert summary(read(tmp_path)) == {"p1": ["p1", "o-p1"], "p2": ["p2", "o-p2"]}


def test_json_in_a_folder_that_is_no_fhir_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "bundle.json", bundle(*chart("p1")))
    write(tmp_path / "expected.json", {"id": 1})
    assert summary(read(tmp_path)) == {"p1": ["p1", "o-p1"]}


def test_lines_of_bundles_come_one_by_one() -> None:
    class Lines(io.BytesIO):
        """Counts the lines that were asked for."""

        asked = 0

        def readline(self, size: int | None = -1) -> bytes:
            Lines.asked += 1
            return super().readline(size)

        def __next__(self) -> bytes:
            Lines.asked += 1
            return super().__next__()

    lines = "\n".join(json.dumps(bundle(*chart(f"p{n}"))) for n in range(100)) + "\n\n"
    patients = read_files(["-"], Lines(lines.encode()))
    assert next(patients).patient_id == "p0"
    assert Lines.asked == 1
    assert sum(1 for _ in patients) == 99


def test_standard_input_may_be_one_document() -> None:
    text = json.dumps(bundle(*chart("p1")), indent=1).encode()
    assert summary(read("-", stdin=text)) == {"p1": ["p1", "o-p1"]}


# --- what cannot be read ------------------------------------------------------------------------------

BROKEN = [
    # content, name, part of the message
    (b"", "a.json", "a.json:1: expected FHIR JSON"),
    (b"hello", "a.json", "a.json:1: expected FHIR JSON"),
    (b'{"resourceType": "Patient",\n\n "id": }', "a.json", "a.json:3: expected FHIR JSON"),
    (b'{"resourceType": "Patient", "id": "p1"', "a.json", "a.json:1: expected FHIR JSON"),
    (b'{"resourceType": "Patient"}\n{"resourceType": }\n', "a.ndjson", "a.ndjson:2: expected FHIR JSON"),
    (
        b'{"resourceType": "Patient"}\n[1]\n',
        "a.ndjson",
        "a.ndjson:2: expected a FHIR resource, found an array",
    ),
    (b'{"a": "\xff"}', "a.json", "a.json:1: expected"),
    (b"[" * 100_000, "a.json", "a.json:1: expected FHIR JSON, found it nested too deeply"),
    (b"7", "a.json", "expected a FHIR resource, found a number"),
    (b"null", "a.json", "expected a FHIR resource, found null"),
    (b'{"id": "p1"}', "a.json", "at $.resourceType: expected the name of a FHIR resource"),
    (b'{"resourceType": "Bundle", "entry": {}}', "a.json", "at $.entry: expected an array, found an object"),
    (b'{"resourceType": "Observation", "id": "o"}', "a.json", "expected a Patient, or a subject"),
]


@pytest.mark.parametrize(("content", "name", "message"), BROKEN)
def test_what_cannot_be_read_is_told_with_its_place(
    tmp_path: Path, content: bytes, name: str, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        read(tmp_path / name)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_or_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.json: expected a file or folder, found none"):
        read(tmp_path / "gone.json")
    with pytest.raises(InputError, match=r"expected \.json or \.ndjson files"):
        read(tmp_path)


BROKEN_ENTRIES = [
    # an entry of a Bundle, where it is listed
    ("broken", "$.entry[1]"),
    (None, "$.entry[1]"),
    ({}, "$.entry[1]"),
    ({"resource": "broken"}, "$.entry[1].resource"),
]


@pytest.mark.parametrize(("entry", "place"), BROKEN_ENTRIES)
def test_a_broken_entry_is_listed_and_the_rest_is_used(tmp_path: Path, entry: Any, place: str) -> None:
    whole = bundle(patient("p1"))
    whole["entry"].append(entry)
    found = read(write(tmp_path / "a.json", whole))
    assert summary(found) == {"p1": ["p1"]}
    assert [unread.reference.endswith(place) for unread in found[0].unread] == [True]


def test_one_page_of_several_is_listed(tmp_path: Path) -> None:
    page = searchset(patient("p1"), next_url="http://x.example/next")
    assert Topic.SCORE in read(write(tmp_path / "a.json", page))[0].unread[0].topics


@pytest.mark.parametrize(("severity", "is_listed"), [("error", True), ("fatal", True), ("warning", False)])
def test_an_error_among_the_entries_is_listed(tmp_path: Path, severity: str, is_listed: bool) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": "timeout"}]}
    found = read(write(tmp_path / "a.json", searchset(patient("p1"), included=[outcome])))
    assert bool(found[0].unread) is is_listed


def test_an_entry_that_deletes_holds_nothing(tmp_path: Path) -> None:
    whole = bundle(patient("p1"))
    whole["entry"].append({"request": {"method": "DELETE", "url": "Observation/o1"}})
    assert read(write(tmp_path / "a.json", whole))[0].unread == ()
