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
PAGE = """# Three FHIR servers

One suite ([tests/hapi](../tests/hapi/test_three_servers.py)) runs against a real HAPI FHIR JPA server, against
sekmet-fhir, and against the embedded server of this project: all 24 fixture patients through
`assess --fhir-server`, through the hook without prefetch, and with pages of two; Medications included; an unknown
and a deleted patient; loading twice, taking back and loading again. The answers are those of the patients'
Bundles, on all three.

    make test-hapi            # builds HAPI from its published artifacts; needs Maven and a JDK 17
    TRD_CDS_HAPI_URL=http://127.0.0.1:8080/fhir make test-hapi      # or any HAPI that is up

(The fixture patients are loaded into it, and taken off again.)

HAPI is {hapi}, R4, in memory (H2), with the settings that it has by itself. sekmet-fhir is
{sekmet}, its simulator off.

## Where they differ

{table}

Servers as hospitals run them differ more: [fhir-access.md](fhir-access.md) says how they are asked,
`fhir_fixtures/server_profiles.py` has some to test with, [failure-modes.md](failure-modes.md) tells what each fault
comes to, and `trd-cds doctor` ([doctor.md](doctor.md)) tries yours. This page is written by
`python -m tests.hapi.manners`; a test asks each server again and fails where the page is wrong.
"""


def manners_of(base: str) -> dict[str, str]:
    """What was asked, and how the server took it."""
    page = _get(f"{base}/Observation?subject=Patient/{PATIENT}&_count=1")
    body = page.json()
    links = {link["relation"]: link["url"] for link in body.get("link", ())}
    including = f"patient={_with_medication()}&_include=MedicationRequest:medication"
    included = _get(f"{base}/MedicationRequest?{including}").json()
    modes = {entry.get("search", {}).get("mode", "none") for entry in included.get("entry", ())}
    all_of_them = _get(f"{base}/Observation?_summary=false").json()
    posted = requests.post(f"{base}/Condition/_search", data={"patient": PATIENT}, timeout=60)
    return {
        "`total` in a searchset": "yes" if "total" in body else "no",
        "page without `_count`": f"{len(all_of_them.get('entry', ()))} entries",
        "`next` link": _kind_of_link(links.get("next", ""), base),
        "unknown search parameter": _status(f"{base}/Condition?patient={PATIENT}&no-such-parameter=1"),
        "unknown type": _status(f"{base}/NoSuchType?patient={PATIENT}"),
        "search of a patient that is not there": _outcome_of_nobody(base),
        "`search.mode` with `_include`": ", ".join(sorted(modes)),
        "POST `_search`": str(posted.status_code),
        "a resource that was deleted": _deleted(base),
        "an id of digits only, by PUT": _numeric_id(base),
        "a reference to what is not there, by PUT": _dangling(base),
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


def _kind_of_link(url: str, base: str) -> str:
    if not url:
        return "none"
    kind = "opaque id" if "_getpages" in url else "the search and a place in it"
    return kind if url.startswith(base) else f"{kind}, at another address"


def _outcome_of_nobody(base: str) -> str:
    answer = _get(f"{base}/Condition?patient=nobody")
    return f"{answer.status_code}, {len(answer.json().get('entry', ()))} entries"


def _put(base: str, resource: dict[str, Any]) -> requests.Response:
    return requests.put(f"{base}/{resource['resourceType']}/{resource['id']}", json=resource, timeout=60)


def _deleted(base: str) -> str:
    url = f"{base}/Patient/trd-manners"
    _put(base, {"resourceType": "Patient", "id": "trd-manners"})
    requests.delete(url, timeout=60)
    return _status(url)


def _numeric_id(base: str) -> str:
    answer = _put(base, {"resourceType": "Patient", "id": "4711"})
    requests.delete(f"{base}/Patient/4711", timeout=60)
    return str(answer.status_code)


def _dangling(base: str) -> str:
    subject = {"reference": "Patient/trd-nobody"}
    answer = _put(base, {"resourceType": "Condition", "id": "trd-manners", "subject": subject})
    requests.delete(f"{base}/Condition/trd-manners", timeout=60)
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
