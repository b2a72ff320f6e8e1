"""How a FHIR server behaves where servers differ, found out by asking: what `docs/fhir-servers.md` tells.

    python -m tests.hapi.manners > docs/fhir-servers.md

writes the page anew, from all three servers.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import requests

from fhir_fixtures import vignettes
from fhir_fixtures.loading import delete_fixtures, load_fixtures
from tests.hapi.servers import SERVERS

PATIENT = "trd-v01"
CODE = "44261-6"  # LOINC: the PHQ-9 total, of which this patient has three, and one result of another code
ENVELOPE = {"resourceType", "id", "meta"}
OF_NOBODY = {
    "resourceType": "Condition",
    "id": "trd-manners",
    "subject": {"reference": "Patient/trd-nobody"},
}
PAGE = """# Three FHIR servers

One suite ([tests/hapi](../tests/hapi/test_three_servers.py)) runs against a real HAPI FHIR JPA server, against
sekmet-fhir, and against the embedded server of this project: all 24 fixture patients through
`assess --fhir-server`, through the hook without prefetch, and with pages of two; Medications included; an unknown
and a deleted patient; a chart under ids that the server gives; loading twice, taking back and loading again. The
answers are those of the patients' Bundles, on all three.

    make test-hapi            # builds HAPI from its published artifacts; needs Maven and a JDK 17
    TRD_CDS_HAPI_URL=http://127.0.0.1:8080/fhir make test-hapi      # or any HAPI that is up

(The fixture patients are loaded into it, and taken off again.)

HAPI is {hapi}, R4, in memory (H2), with the settings that it has by itself. sekmet-fhir is
{sekmet}, its simulator off.

## Where they differ

{table}

What this service asks means the same on all three: by patient, with `_count` and `_include`, then the `next`
links. Who asks otherwise should know that HAPI passes over a modifier that it does not know, a parameter that it does
not know if that begins with `_`, and one without a value (a search by an empty patient finds everybody), and that it
takes `ge2025` to begin after that year: write days in full. Where the embedded server refuses what another one
answers, it is on purpose: [its own page](../fhir_fixtures/README.md) says why.

Servers as hospitals run them differ more: [fhir-access.md](fhir-access.md) says how they are asked,
`fhir_fixtures/server_profiles.py` has some to test with, [failure-modes.md](failure-modes.md) tells what each fault
comes to, and `trd-cds doctor` ([doctor.md](doctor.md)) tries yours. This page is written by
`python -m tests.hapi.manners`; a test asks each server again and fails where the page is wrong.
"""


def manners_of(base: str) -> dict[str, str]:
    """What was asked, and how the server took it."""
    return _pages(base) | _searches(base) | _results(base) | _reads(base) | _writes(base)


def _pages(base: str) -> dict[str, str]:
    body = _get(f"{base}/Observation?subject=Patient/{PATIENT}&_count=1").json()
    links = {link["relation"]: link["url"] for link in body.get("link", ())}
    second = _get(links["next"]).json()
    all_of_them = _get(f"{base}/Observation?_summary=false").json()
    many = _get(f"{base}/Observation?_count=1000").json()
    few_of_many = _get(f"{base}/Observation?_count=2").json()
    return {
        "`total` in a searchset": "yes" if "total" in body else "no",
        "`total` of a search that finds 74": "yes" if "total" in few_of_many else "no",
        "page without `_count`": f"{len(all_of_them.get('entry', ()))} entries",
        "page with `_count=1000`": f"{len(many.get('entry', ()))} entries",
        "`next` link": _kind_of_link(links.get("next", ""), base),
        "links of a second page": ", ".join(sorted(link["relation"] for link in second.get("link", ()))),
    }


def _searches(base: str) -> dict[str, str]:
    """How many results a search finds: each is about a patient with four, three of them of one code."""
    codes = ",".join([CODE, *(f"{number}-0" for number in range(10_000, 10_099))])
    asked = {
        "`Observation?code=` with 100 codes": f"code={codes}",
        "`category=a,b`": "category=survey,vital-signs",
        "`code:not=`": f"code:not={CODE}",
        "`code:text=`": "code:text=patient health",
        "`code:missing=true`": "code:missing=true",
        "unknown modifier, `code:no-such=`": f"code:no-such={CODE}",
        "unknown parameter": "no-such-parameter=1",
        "unknown parameter, `_no-such`": "_no-such=1",
        "parameter without a value, `code=`": "code=",
        "`date=ge` with a year": "date=ge2025",
        "`date=ge` with a day": "date=ge2025-01-01",
        "`date=ap`": "date=ap2025",
        "chain, `patient.gender=`": "patient.gender=female,male",
        "`_summary=true`": "_summary=true",
    }
    found = {what: _found(f"{base}/Observation?patient={PATIENT}&{query}") for what, query in asked.items()}
    posted = requests.post(f"{base}/Condition/_search", data={"patient": PATIENT}, timeout=60)
    return found | {
        "`_has`": _found(f"{base}/Patient?_id={PATIENT}&_has:Observation:patient:code={CODE}"),
        "unknown type": _found(f"{base}/NoSuchType?patient={PATIENT}"),
        "search of a patient that is not there": _found(f"{base}/Condition?patient=nobody"),
        "search of a patient without a value": _found(f"{base}/Condition?patient="),
        "POST `_search`": str(posted.status_code),
    }


def _results(base: str) -> dict[str, str]:
    ours = f"{base}/Observation?patient={PATIENT}"
    orders = f"{base}/MedicationRequest?patient={_with_medication()}"
    part = _get(f"{ours}&_elements=status").json().get("entry", ())
    count = _get(f"{ours}&_summary=count").json()
    return {
        "`_elements=status`": ", ".join(
            sorted({name for one in part for name in one["resource"]} - ENVELOPE)
        ),
        "`_summary=count`": f"total {count.get('total')}, {len(count.get('entry', ()))} entries",
        "types with `_include` of Medications": _types(f"{orders}&_include=MedicationRequest:medication"),
        "types with `_include=*`": _types(f"{orders}&_include=*"),
        "types with `_revinclude`": _types(f"{base}/Patient?_id={PATIENT}&_revinclude=Condition:patient"),
        "`search.mode` with `_include`": _modes(f"{orders}&_include=MedicationRequest:medication"),
    }


def _reads(base: str) -> dict[str, str]:
    url = f"{base}/Patient/trd-manners"
    for gender in ("female", "male"):
        answer = _put(base, {"resourceType": "Patient", "id": "trd-manners", "gender": gender})
    version = answer.json()["meta"]["versionId"]
    unchanged = requests.get(url, headers={"If-None-Match": f'W/"{version}"'}, timeout=60)
    xml = requests.get(url, headers={"Accept": "application/fhir+xml"}, timeout=60)
    found = {
        "read with `If-None-Match`, unchanged": str(unchanged.status_code),
        "the newest version, by `_history`": _status(f"{url}/_history/{version}"),
        "an earlier version, by `_history`": _status(f"{url}/_history/{int(version) - 1}"),
        "XML": str(xml.status_code),
    }
    requests.delete(url, timeout=60)
    return found | {"a resource that was deleted": _status(url)}


def _writes(base: str) -> dict[str, str]:
    mine = {"resourceType": "Patient", "id": "trd-manners"}
    twice = [{"resource": mine, "request": {"method": "PUT", "url": "Patient/trd-manners"}}] * 2
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": twice}
    return {
        "id that the server gives": _given_id(base),
        "create with `If-None-Exist`": _conditional_create(base),
        "an id of digits only, by PUT": _put_once(base, {"resourceType": "Patient", "id": "4711"}),
        "a reference to what is not there, by PUT": _put_once(base, OF_NOBODY),
        "a code that FHIR does not have, by PUT": _put_once(base, mine | {"gender": "no-such"}),
        "one resource twice in a transaction": str(requests.post(base, json=bundle, timeout=60).status_code),
        "PUT with `If-Match` of another version": _put_once(base, mine, {"If-Match": 'W/"99"'}),
    }


def _with_medication() -> str:
    """A patient whose orders refer to a Medication."""
    return next(
        one.patient_id
        for one in vignettes()
        if any(entry["resource"]["resourceType"] == "Medication" for entry in one.bundle["entry"])
    )


def software_of(base: str) -> str:
    told = _get(f"{base}/metadata").json().get("software", {})
    return f"{told.get('name', 'unnamed')} {told.get('version', '')}".strip()


def _get(url: str) -> requests.Response:
    headers = {"Accept": "application/fhir+json", "Cache-Control": "no-cache"}
    return requests.get(url, headers=headers, timeout=60)


def _status(url: str) -> str:
    return str(_get(url).status_code)


def _found(url: str) -> str:
    """The status and, where it is 200, how many entries are matches."""
    answer = _get(url)
    if answer.status_code != 200:
        return str(answer.status_code)
    modes = [entry.get("search", {}).get("mode") for entry in answer.json().get("entry", ())]
    outcomes = " and an OperationOutcome" if "outcome" in modes else ""
    return f"200, {modes.count('match')} found{outcomes}"


def _entries(url: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = _get(url).json().get("entry", [])
    return entries


def _types(url: str) -> str:
    answer = _get(url)
    if answer.status_code != 200:
        return str(answer.status_code)
    types = {entry["resource"]["resourceType"] for entry in answer.json().get("entry", ())}
    return ", ".join(sorted(types))


def _modes(url: str) -> str:
    return ", ".join(sorted({entry.get("search", {}).get("mode", "none") for entry in _entries(url)}))


def _kind_of_link(url: str, base: str) -> str:
    if not url:
        return "none"
    kind = "opaque id" if "_getpages" in url else "the search and a place in it"
    return kind if url.startswith(base) else f"{kind}, at another address"


def _put(base: str, resource: dict[str, Any], headers: dict[str, str] | None = None) -> requests.Response:
    url = f"{base}/{resource['resourceType']}/{resource['id']}"
    return requests.put(url, json=resource, headers=headers, timeout=60)


def _put_once(base: str, resource: dict[str, Any], headers: dict[str, str] | None = None) -> str:
    answer = _put(base, resource, headers)
    requests.delete(f"{base}/{resource['resourceType']}/{resource['id']}", timeout=60)
    return str(answer.status_code)


def _given_id(base: str) -> str:
    answer = requests.post(f"{base}/Patient", json={"resourceType": "Patient"}, timeout=60)
    id = answer.json()["id"]
    requests.delete(f"{base}/Patient/{id}", timeout=60)
    return "a number" if id.isdigit() else "a UUID"


def _conditional_create(base: str) -> str:
    mine = {"resourceType": "Patient", "identifier": [{"system": "urn:trd-manners", "value": "1"}]}
    headers = {"If-None-Exist": "identifier=urn:trd-manners|1"}
    answer = requests.post(f"{base}/Patient", json=mine, headers=headers, timeout=60)
    if answer.ok:
        requests.delete(f"{base}/Patient/{answer.json()['id']}", timeout=60)
    return str(answer.status_code)


def _write_page() -> None:
    found: dict[str, dict[str, str]] = {}
    names: dict[str, str] = {}
    for name, start in SERVERS.items():
        with tempfile.TemporaryDirectory() as folder, start(Path(folder)) as url:
            load_fixtures(url)
            found[name], names[name] = manners_of(url), software_of(url)
            delete_fixtures(url)
    rows = [["asked", *SERVERS], ["---"] * (len(SERVERS) + 1)]
    rows += [[asked, *(found[name][asked] for name in SERVERS)] for asked in found["embedded"]]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    print(PAGE.format(hapi=names["hapi"], sekmet=names["sekmet"], table=table), end="")


if __name__ == "__main__":
    _write_page()
