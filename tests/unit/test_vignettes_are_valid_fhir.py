"""The 24 fixture patients: valid FHIR, complete, loadable together, and as `write_vignettes` writes them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from importlib.resources import files
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from fhir_fixtures import Vignette, vignettes
from fhir_fixtures.references import address_of, names_of_entries
from fhir_fixtures.write_vignettes import vignette_files

DEFINITIONS = {
    "default-configurable",
    "seed-2026",
    "eu-pearl-2022",
    "canadian-2021",
    "kim-register",
    "ohdsi-1009",
}
VERDICTS = {"met", "not-met", "indeterminate", "excluded"}
HAPI_SAFE_ID = re.compile(r"trd-v\d\d(-[a-z]+\d*)?")

each_vignette = pytest.mark.parametrize("vignette", vignettes(), ids=lambda vignette: vignette.name)


def resources_of(vignette: Vignette) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in vignette.bundle["entry"]]


def references_in(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from references_in(item)
    elif isinstance(value, dict):
        for element, child in value.items():
            if element == "reference" and isinstance(child, str):
                yield child
            else:
                yield from references_in(child)


def test_there_are_24_numbered_from_1() -> None:
    assert [vignette.id for vignette in vignettes()] == list(range(1, 25))


def test_some_can_be_chosen_by_number() -> None:
    assert [vignette.name[:2] for vignette in vignettes([18, 3])] == ["03", "18"]


@each_vignette
def test_the_bundle_is_valid_fhir_r4(vignette: Vignette) -> None:
    get_fhir_model_class("Bundle").model_validate(vignette.bundle)


@each_vignette
def test_ids_can_be_stored_by_any_server(vignette: Vignette) -> None:
    ids = [resource["id"] for resource in resources_of(vignette)]

    assert all(HAPI_SAFE_ID.fullmatch(id) and id.startswith(vignette.patient_id) for id in ids)


def test_no_address_is_used_twice() -> None:
    addresses = Counter(address_of(it) for vignette in vignettes() for it in resources_of(vignette))

    assert {address for address, count in addresses.items() if count > 1} == set()


@each_vignette
def test_every_reference_finds_its_target_in_the_bundle(vignette: Vignette) -> None:
    targets = {address_of(resource) for resource in resources_of(vignette)}
    targets |= set(names_of_entries(vignette.bundle["entry"]))
    contained = {
        f"#{it['id']}" for resource in resources_of(vignette) for it in resource.get("contained", [])
    }

    assert set(references_in(vignette.bundle)) <= targets | contained


@each_vignette
def test_every_resource_is_about_this_patient(vignette: Vignette) -> None:
    of_patient = {f"Patient/{vignette.patient_id}"} | {
        url
        for url, address in names_of_entries(vignette.bundle["entry"]).items()
        if address == f"Patient/{vignette.patient_id}"
    }
    subjects = {
        resource["subject"]["reference"] for resource in resources_of(vignette) if "subject" in resource
    }

    assert subjects <= of_patient


@each_vignette
def test_nobody_has_a_name_or_an_address(vignette: Vignette) -> None:
    people = [resource for resource in resources_of(vignette) if resource["resourceType"] == "Patient"]

    assert [set(person) for person in people] == [{"resourceType", "id", "birthDate", "name", "gender"}]
    assert people[0]["name"] == [{"text": f"Vignette {vignette.id:02}"}]


@each_vignette
def test_what_is_expected_is_complete(vignette: Vignette) -> None:
    expected = vignette.expected

    assert expected["id"] == vignette.id
    assert date.fromisoformat(expected["on"]) == date(2026, 6, 30)
    assert set(expected["verdicts"]) == DEFINITIONS
    assert set(expected["verdicts"].values()) <= VERDICTS
    assert expected["safety"] in {"met", "not-met", "unknown"}
    assert expected["encoding"]
    assert expected["why"]


@each_vignette
def test_expected_trials_are_no_longer_than_their_days(vignette: Vignette) -> None:
    for trial in vignette.expected["trials"]:
        span = date.fromisoformat(trial["lastDay"]) - date.fromisoformat(trial["firstDay"])
        assert 0 < trial["adequateDays"] <= span.days + 1


def test_every_chart_is_written_in_its_own_way() -> None:
    assert len({vignette.encoding for vignette in vignettes()}) == 24


@each_vignette
def test_the_readme_has_its_row(vignette: Vignette) -> None:
    verdict = vignette.expected["verdicts"]["default-configurable"]
    row = f"| {vignette.id:02} | {vignette.title} | {verdict} | {vignette.encoding} |"

    assert row in files("fhir_fixtures").joinpath("README.md").read_text("utf-8")


@each_vignette
def test_the_files_are_what_the_script_writes(vignette: Vignette) -> None:
    written = vignette_files()[vignette.name]

    assert written["bundle.json"] == vignette.bundle
    assert written["expected.json"] == vignette.expected
