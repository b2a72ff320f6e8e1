"""Requests about the fixture patients with elements replaced, removed or doubled: no 5xx, a sound reply always."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cds_service.app import create_app
from cds_service.settings import Settings
from cds_service.trd.draft_orders import Concern, judge_drafts
from fhir_fixtures import vignettes
from fhir_fixtures.builders import medication
from tests.contract.conftest import HOOK_PATH, ON, hook_request, path_of
from tests.contract.order_hooks import HOOKS, Judged, about_bundle, draft, order_request
from tests.contract.replies import assert_sound
from tests.test_vignettes import sorted_by_type

STRANGE: list[Any] = [
    None, "", " ", [], {}, [[]], [{}], [None], True, False, 0, -1, -0.0, 0.1, 1e308, 5e-324, 10**30, -(10**18),
    "0", "-5", "1e309", "NaN", "Infinity", "٣", "1,5", "not-a-date", "2024-13-45", "2024", "2024-02-30", "2024-06",
    "0000-00-00", "0001-01-01", "9999-12-31", "9999-12-31T23:59:60Z", "2024-01-01T00:00:00+99:99", "24:00:00",
    "\u0000", "\u2028", "😀" * 40, "x" * 5000, "|" * 200, "<script>alert(1)</script>", "[a](javascript:1)",
    "Patient/", "Patient/p2", "/", "//", "#", "#x", "urn:uuid:", "http://[", "https://evil.invalid/Patient/p1",
    "Medication/../../x", {"reference": {}}, {"reference": "#"}, {"value": "10", "unit": []}, {"coding": "F32"},
    {"coding": [None, 3, {"code": 5, "system": []}]}, {"resourceType": "Patient"}, {"resourceType": ["Patient"]},
    {"resourceType": "OperationOutcome"}, {"start": "2025-01-01", "end": "2024-01-01"}, {"value": -1, "code": "mg"},
    {"value": 1e300, "code": "mg"}, {"numerator": {"value": 5}, "denominator": {"value": 0}},
]  # fmt: skip

Path = tuple[Any, ...]


def request_about(number: int) -> dict[str, Any]:
    vignette = vignettes([number])[0]
    context = {"userId": "Practitioner/1", "patientId": vignette.patient_id}
    return hook_request(context=context, prefetch=sorted_by_type(vignette))


def paths_in(value: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from paths_in(value[key], (*path, key))


REQUESTS = {vignette.id: request_about(vignette.id) for vignette in vignettes()}


def order_request_about(number: int) -> dict[str, Any]:
    """order-select about the orders that the patient has, as drafts, with a Medication among them."""
    vignette = vignettes([number])[0]
    orders = [entry["resource"] for entry in vignette.bundle["entry"]]
    drafts = [order | {"status": "draft"} for order in orders if order["resourceType"] == "MedicationRequest"]
    drafts.append(draft(patient_id=vignette.patient_id, medication=None, medicationReference=BESIDE))
    body = order_request("order-select", *drafts, medication("beside"), prefetch=sorted_by_type(vignette))
    body["context"]["patientId"] = vignette.patient_id
    return body


BESIDE = {"reference": "Medication/beside"}
ORDER_REQUESTS = {vignette.id: order_request_about(vignette.id) for vignette in vignettes()}
PATHS_TO_DRAFTS = {
    number: [path for path in paths_in(request) if path[:1] == ("context",)][1:]
    for number, request in ORDER_REQUESTS.items()
}
PATHS = {number: list(paths_in(request))[1:] for number, request in REQUESTS.items()}
NAMES = sorted({path[-1] for paths in PATHS.values() for path in paths if isinstance(path[-1], str)})


@st.composite
def mutated_requests(draw: st.DrawFn) -> Any:
    number = draw(st.sampled_from(sorted(REQUESTS)))
    request = copy.deepcopy(REQUESTS[number])
    for _ in range(draw(st.integers(1, 4))):
        mutate(draw, request, draw(st.sampled_from(PATHS[number])))
    return request


@st.composite
def mutated_order_requests(draw: st.DrawFn) -> Any:
    """With more changes in the drafts than elsewhere; as order-select, or as order-sign."""
    number = draw(st.sampled_from(sorted(ORDER_REQUESTS)))
    request = copy.deepcopy(ORDER_REQUESTS[number])
    for _ in range(draw(st.integers(1, 4))):
        mutate(draw, request, draw(st.sampled_from(PATHS_TO_DRAFTS[number])))
    if draw(st.booleans()):
        mutate(draw, request, draw(st.sampled_from(list(paths_in(request))[1:])))
    return request | {"hook": draw(st.sampled_from(HOOKS))}


def mutate(draw: st.DrawFn, request: Any, path: Path) -> None:
    """One change at `path`, if the changes before have left it there."""
    holder, key = at(request, path[:-1]), path[-1]
    if at(holder, (key,)) is GONE:
        return
    how = draw(st.sampled_from(("replace", "remove", "double", "wrap")))
    if how == "remove":
        del holder[key]
    elif how == "double" and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif how == "wrap":
        holder[key] = draw(st.sampled_from(([holder[key]], {"value": holder[key]}, str(holder[key]))))
    else:
        holder[key] = copy.deepcopy(draw(st.sampled_from(STRANGE)))


GONE = object()


def at(value: Any, path: Path) -> Any:
    for key in path:
        if not isinstance(value, dict | list):
            return GONE
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return GONE
    return value


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    return create_app(Settings(), today=lambda: ON).test_client()


@pytest.fixture
def judging(monkeypatch: pytest.MonkeyPatch) -> None:
    """All concerns about each draft, beside those that the rules find."""
    every = Judged(*Concern)
    monkeypatch.setattr(
        "cds_service.respond.judge_drafts", lambda *given: (*judge_drafts(*given), *every(*given))
    )


def assert_answered(client: FlaskClient, request: Any, path: str = HOOK_PATH) -> None:
    reply = client.post(path, data=json.dumps(request).encode())
    assert_sound(reply.status_code, reply.get_json())


ANYTHING = settings(
    deadline=None,
    max_examples=300,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@ANYTHING
@given(request=mutated_requests())
@example(request=REQUESTS[1])
def test_a_few_elements_changed(client: FlaskClient, request: Any) -> None:
    assert_answered(client, request)


@ANYTHING
@given(name=st.sampled_from(NAMES), value=st.sampled_from(STRANGE), number=st.sampled_from(sorted(REQUESTS)))
def test_one_element_changed_wherever_it_stands(
    client: FlaskClient, name: str, value: Any, number: int
) -> None:
    assert_answered(client, with_all_replaced(REQUESTS[number], name, value))


def with_all_replaced(node: Any, name: str, value: Any) -> Any:
    if isinstance(node, list):
        return [with_all_replaced(part, name, value) for part in node]
    if not isinstance(node, dict):
        return node
    return {key: value if key == name else with_all_replaced(part, name, value) for key, part in node.items()}


JSON = st.recursive(
    st.sampled_from(STRANGE)
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(),
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.sampled_from(NAMES), part, max_size=5),
    max_leaves=25,
)


@ANYTHING
@given(
    key=st.sampled_from(("patient", "medications", "observations", "conditions")),
    value=JSON,
    is_entry=st.booleans(),
)
def test_any_json_as_a_prefetched_value_or_resource(
    client: FlaskClient, key: str, value: Any, is_entry: bool
) -> None:
    request = copy.copy(REQUESTS[1])
    if is_entry:
        value = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": value}, value]}
    request["prefetch"] = request["prefetch"] | {key: value}
    assert_answered(client, request)


@pytest.mark.usefixtures("judging")
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("number", sorted(ORDER_REQUESTS))
def test_orders_as_they_are(client: FlaskClient, hook: str, number: int) -> None:
    reply = client.post(path_of(hook), json=ORDER_REQUESTS[number] | {"hook": hook})
    assert_sound(reply.status_code, reply.get_json())
    assert reply.get_json()["cards"]


@pytest.mark.conformance("CH-209")
@pytest.mark.usefixtures("judging")
@ANYTHING
@given(request=mutated_order_requests())
def test_a_few_elements_of_orders_changed(client: FlaskClient, request: Any) -> None:
    assert_answered(client, request, path_of(request["hook"]))


@pytest.mark.usefixtures("judging")
@ANYTHING
@given(
    name=st.sampled_from(NAMES),
    value=st.sampled_from(STRANGE),
    number=st.sampled_from(sorted(ORDER_REQUESTS)),
    hook=st.sampled_from(HOOKS),
)
def test_one_element_of_orders_changed_wherever_it_stands(
    client: FlaskClient, name: str, value: Any, number: int, hook: str
) -> None:
    request = ORDER_REQUESTS[number] | {"hook": hook}
    drafts = with_all_replaced(request["context"]["draftOrders"], name, value)
    assert_answered(
        client, request | {"context": request["context"] | {"draftOrders": drafts}}, path_of(hook)
    )


@pytest.mark.usefixtures("judging")
@ANYTHING
@given(value=JSON, is_entry=st.booleans(), hook=st.sampled_from(HOOKS), selections=st.lists(JSON, max_size=3))
def test_any_json_as_drafts(
    client: FlaskClient, value: Any, is_entry: bool, hook: str, selections: list[Any]
) -> None:
    drafts = {"entry": [{"resource": value}, value]} if is_entry else value
    request = about_bundle(hook, drafts, ["MedicationRequest/d1", *selections])
    assert_answered(client, request, path_of(hook))
