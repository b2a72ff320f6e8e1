"""The whole examination of one FHIR server, in the order of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial

from cds_service.doctor.ability_checks import (
    check_medications,
    check_pages,
    check_post,
    check_unknown_parameter,
    find_longest,
)
from cds_service.doctor.asking import Answer, Asker
from cds_service.doctor.network_check import check_network
from cds_service.doctor.patients import Found, find_patients
from cds_service.doctor.readiness import Survey, survey
from cds_service.doctor.results import Check, Outcome, Report, SearchCheck
from cds_service.doctor.search_checks import Circumstances, scope_of, try_searches
from cds_service.doctor.server_checks import (
    check_content_type,
    check_metadata,
    check_smart,
    check_software,
    check_version,
    software_of,
    version_of,
)
from cds_service.doctor.tls import check_tls
from cds_service.errors import FhirFatalError, FhirServerError, InputError
from cds_service.fhir_address import FhirAddress, is_fhir_id, read_address
from cds_service.fhir_source import fetch_collected
from cds_service.needs import needs

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What to examine. With `patient_ids` these patients are read, else a sample of up to `sample`.

    `seconds` is the time for one question, `fetch_seconds` what the service has for a whole chart; `on` is today.
    """

    patient_ids: tuple[str, ...]
    sample: int
    token: str | None
    seconds: float
    on: date
    fetch_seconds: float = 8.0

    @property
    def chart_seconds(self) -> float:
        """The time for all of one patient."""
        return min(self.seconds, self.fetch_seconds)


def examine(url: str, options: Options, tell: Tell = lambda _: None) -> Report:
    """The report about the FHIR server at `url`; `tell` hears what is being done.

    Raises InputError for a wrong address or id, FhirServerError when the server cannot be reached.
    """
    base = _base_of(url, options)
    asker = Asker(base, options.token, options.seconds)
    tell("metadata")
    metadata = asker.get("metadata", "metadata")
    tls = check_tls(base, options.seconds)
    if metadata.status == 0 and not _answers_at_all(asker, options):
        raise FhirServerError(_unreachable(base, metadata, tls))
    smart = check_smart(asker)
    tell("finding patients")
    found = _patients(asker, options)
    fetch = partial(fetch_collected, base.url, token=options.token, seconds=options.chart_seconds)
    taken = survey(found, options.on, fetch, tell)
    tell("searches")
    patient_id = _patient_to_try_with(taken)
    given = Circumstances(metadata, options.fetch_seconds, bool(options.patient_ids))
    searches = try_searches(asker, patient_id, given)
    abilities = _abilities(asker, taken, patient_id)
    server = (
        check_metadata(metadata, base),
        check_version(metadata),
        check_software(metadata),
        check_network(base),
        tls,
        _check_content_type(asker, metadata, patient_id),
        *smart,
    )
    sample = (found.check,) if found.check else ()
    chart = taken.check_time(options.chart_seconds)
    return _report(
        base, options, metadata, (*server, *sample, chart, *abilities), searches, taken, patient_id
    )


def _base_of(url: str, options: Options) -> FhirAddress:
    base = read_address(url)
    if base is None:
        raise InputError("FHIR server: expected a plain http or https base address without query")
    if not all(map(is_fhir_id, options.patient_ids)):
        raise InputError("patient: expected a bare FHIR id (1 to 64 of A-Z a-z 0-9 - .)")
    if options.token is not None and base.scheme == "http" and not base.is_loopback:
        raise FhirFatalError("a token is sent over https only")
    return base


def _answers_at_all(asker: Asker, options: Options) -> bool:
    """Whether a server that gave no metadata (it may be too slow, or too large) answers what it is needed for."""
    query = f"Patient/{options.patient_ids[0]}" if options.patient_ids else "MedicationRequest?_count=1"
    return asker.get(query, "first question").status != 0


def _check_content_type(asker: Asker, metadata: Answer, patient_id: str) -> Check:
    """Told by the metadata, or by the Patient where the metadata is no JSON."""
    if metadata.content is None and patient_id:
        patient = asker.get(f"Patient/{patient_id}", "Patient read")
        return check_content_type(patient if patient.content is not None else metadata)
    return check_content_type(metadata)


def _unreachable(base: FhirAddress, metadata: Answer, tls: Check) -> str:
    if tls.outcome is Outcome.FAILS:
        return f"{base.url}: the FHIR server could not be reached: {tls.said}. {tls.to_do}"
    return f"{base.url}: {metadata.problem}"


def _patients(asker: Asker, options: Options) -> Found:
    if options.patient_ids:
        return Found(options.patient_ids, "name (--patient)")
    return find_patients(asker, options.sample)


def _patient_to_try_with(taken: Survey) -> str:
    """The patient with most records; the first where none could be read, empty where there is none."""
    if taken.largest:
        return taken.largest[0].patient_id
    return next(iter(taken.found.ids), "")


def _abilities(asker: Asker, taken: Survey, patient_id: str) -> tuple[Check, ...]:
    return (
        *check_pages(asker, find_longest(asker, taken.largest)),
        *check_medications(asker, taken.referrer),
        check_post(asker, patient_id),
        check_unknown_parameter(asker, patient_id),
    )


def _report(
    base: FhirAddress,
    options: Options,
    metadata: Answer,
    checks: tuple[Check, ...],
    searches: tuple[SearchCheck, ...],
    taken: Survey,
    patient_id: str,
) -> Report:
    granted = {search.check.id for search in searches if search.check.is_required or _is_offered(search)}
    wanted = [need for need in needs() if need.key in granted]
    refused = {search.check.id for search in searches if search.in_parts}
    return Report(
        base_url=base.url,
        on=options.on,
        fhir_version=version_of(metadata),
        software=software_of(metadata),
        tried_with=patient_id,
        checks=checks,
        searches=searches,
        readiness=taken.result(),
        prefetch={need.key: need.template for need in wanted if need.key not in refused},
        minimum_scopes=(*(scope_of(need) for need in wanted if need.is_required), "patient/Medication.rs"),
        further_scopes=tuple(scope_of(need) for need in wanted if not need.is_required),
    )


def _is_offered(search: SearchCheck) -> bool:
    """Whether a search that is not required is asked for: unless it was tried and refused."""
    return search.entries is not None or search.check.outcome is Outcome.NOT_TRIED
