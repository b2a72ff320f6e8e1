"""What a valid CDS Hooks request looks like: the bytes of a request body become a frozen `HookRequest`.

Every refusal names the JSON path, what was expected and what kind of thing came, but never the value:
it may be a patient's. `schemas/cds-hooks-request.json` says the same for readers of other programs.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from cds_service.errors import RequestError
from cds_service.fhir_address import is_fhir_id

USER_TYPES = ("Practitioner", "PractitionerRole", "Patient", "RelatedPerson")
"""Who may be the user. Beyond patient-view only the first two are specified; the others get no card there."""

NEEDS_ENCOUNTER = ("encounter-start",)
NEEDS_DRAFTS = ("order-select", "order-sign")
NEEDS_SELECTIONS = ("order-select",)

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_TOKEN = re.compile(r"[!-~]+", re.ASCII)  # what can stand in an HTTP header
_SERVER = re.compile(r"https?://[^\s/?#]+[^\s]*", re.IGNORECASE)
_SHOWABLE = re.compile(r"[A-Za-z0-9._-]{1,40}", re.ASCII)
_BYTE_ORDER_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NOT_GIVEN: Any = object()
_T = TypeVar("_T")


@dataclass(frozen=True)
class HookRequest:
    """One call of a hook.

    `prefetch` is as it came: nothing in it has been checked. `token` is None when none was granted
    or `token_expired`; `expires_in` is the seconds it was good for when the request came, `subject` the client
    it was granted to. `scopes` is None when no authorization came, so that nothing limits an open server, and
    empty when nothing was granted. `draft_orders` is None for hooks without drafts, `selections` where the hook
    is about all of them; what either holds has not been checked.
    """

    hook: str
    hook_instance: str
    user_reference: str
    patient_id: str
    encounter_id: str | None = None
    fhir_server: str | None = None
    token: str | None = field(default=None, repr=False)
    token_expired: bool = False
    scopes: tuple[str, ...] | None = None
    prefetch: dict[str, Any] = field(default_factory=dict, repr=False, hash=False)
    draft_orders: dict[str, Any] | None = field(default=None, repr=False, hash=False)
    selections: tuple[Any, ...] | None = field(default=None, repr=False, hash=False)
    expires_in: int | None = None
    subject: str | None = None


def read_hook_request(body: bytes, hook: str) -> HookRequest:
    """The request in `body`, which must be one for `hook`. Raises RequestError for anything else."""
    root = _object(parse_body(body), "$")
    _check_hook(root, hook)
    context = _object(_required(root, "context", "$"), "$.context")
    patient_id = _fhir_id(_required(context, "patientId", "$.context"), "$.context.patientId")
    return HookRequest(
        hook=hook,
        hook_instance=_hook_instance(_required(root, "hookInstance", "$")),
        user_reference=_user_reference(_required(context, "userId", "$.context")),
        patient_id=patient_id,
        encounter_id=_read_encounter(context, hook),
        fhir_server=_optional(root, "fhirServer", "$", _server),
        prefetch=_optional(root, "prefetch", "$", _object) or {},
        **_read_drafts(context, hook),
        **_read_authorization(root, patient_id),
    )


# --- bytes to JSON ------------------------------------------------------------------------------------


def parse_body(body: bytes) -> Any:
    """The JSON of any request body. Raises RequestError for what is no plain JSON in UTF-8."""
    if not body:
        raise RequestError("$: expected a JSON object, got an empty body")
    if body.startswith(_BYTE_ORDER_MARKS):
        raise RequestError("$: expected JSON in UTF-8 without a byte order mark, got one")
    try:
        root = msgspec.json.decode(body)
    except UnicodeDecodeError:
        raise RequestError("$: expected JSON in UTF-8, got bytes that are not UTF-8") from None
    except RecursionError:
        raise RequestError("$: expected JSON of reasonable depth, got too many nested levels") from None
    except ValueError as error:
        raise RequestError(f"$: expected JSON, but: {error}") from None
    if _may_repeat_names(body, root):
        _refuse_repeated_names(body)
    return root


def _may_repeat_names(body: bytes, root: Any) -> bool:
    """Whether some object may hold one name twice, of which the parser keeps only the last.

    Each name has one colon, and colons inside strings stay: so a name was dropped exactly when the
    body has more colons than what was read of it. Escaped colons and integers that cannot be
    written again make this unsure. It costs a third of the parse; reading with a hook costs ten.
    """
    if b"\\" in body and b"\\u003" in body:
        return True
    try:
        return body.count(b":") != msgspec.json.encode(root).count(b":")
    except (OverflowError, RecursionError):
        return True


def _refuse_repeated_names(body: bytes) -> None:
    try:
        json.loads(body, object_pairs_hook=_refuse_repeated_name)
    except RecursionError:
        raise RequestError("$: expected JSON of reasonable depth, got too many nested levels") from None
    except ValueError as error:
        raise RequestError(f"$: expected JSON, but: {type(error).__name__}") from None


def _refuse_repeated_name(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            shown = repr(name) if _SHOWABLE.fullmatch(name) else "one name"
            raise RequestError(f"$: expected each name once in an object, got {shown} twice in one")
        seen.add(name)


# --- the parts of a request -----------------------------------------------------------------------------


def _check_hook(root: dict[str, Any], hook: str) -> None:
    found = _text(_required(root, "hook", "$"), "$.hook")
    if found != hook:
        shown = repr(found) if _SHOWABLE.fullmatch(found) else "another text"
        raise RequestError(f"$.hook: expected {hook!r}, the hook of this service, got {shown}")


def _hook_instance(value: Any) -> str:
    path = "$.hookInstance"
    if not _UUID.fullmatch(_text(value, path)):
        raise RequestError(f"{path}: expected a UUID (8-4-4-4-12 hexadecimal digits), got another text")
    return str(value)


def _user_reference(value: Any) -> str:
    path = "$.context.userId"
    resource_type, slash, logical_id = _text(value, path).partition("/")
    if resource_type not in USER_TYPES or not slash or not is_fhir_id(logical_id):
        raise RequestError(f"{path}: expected Type/id, with Type one of {', '.join(USER_TYPES)}")
    return str(value)


def _read_encounter(context: dict[str, Any], hook: str) -> str | None:
    if hook in NEEDS_ENCOUNTER:
        return _fhir_id(_required(context, "encounterId", "$.context"), "$.context.encounterId")
    return _optional(context, "encounterId", "$.context", _fhir_id)


def _read_drafts(context: dict[str, Any], hook: str) -> dict[str, Any]:
    """`draftOrders` and `selections` where the hook has them, as they came: real clients send odd ones."""
    found: dict[str, Any] = {}
    if hook in NEEDS_DRAFTS:
        drafts = _required(context, "draftOrders", "$.context")
        found["draft_orders"] = _object(drafts, "$.context.draftOrders")
    if hook in NEEDS_SELECTIONS:
        selections = _required(context, "selections", "$.context")
        found["selections"] = tuple(_array(selections, "$.context.selections"))
    return found


def _fhir_id(value: Any, path: str) -> str:
    if not is_fhir_id(_text(value, path)):
        raise RequestError(
            f"{path}: expected a bare FHIR id (1 to 64 of A-Z a-z 0-9 - .), got a text that is none"
        )
    return str(value)


def _server(value: Any, path: str) -> str:
    if not _SERVER.fullmatch(_text(value, path)):
        raise RequestError(f"{path}: expected an absolute http or https URL, got another text")
    return str(value)


def _read_authorization(root: dict[str, Any], patient_id: str) -> dict[str, Any]:
    path = "$.fhirAuthorization"
    granted = _optional(root, "fhirAuthorization", "$", _object)
    if granted is None:
        return {}
    if root.get("fhirServer") is None:
        raise RequestError("$.fhirServer: expected with fhirAuthorization, got nothing")
    token = _token(_required(granted, "access_token", path), f"{path}.access_token")
    _check_token_type(_required(granted, "token_type", path), f"{path}.token_type")
    expires_in = _whole_number(_required(granted, "expires_in", path), f"{path}.expires_in")
    scope = _any_text(_required(granted, "scope", path), f"{path}.scope")
    subject = _text(_required(granted, "subject", path), f"{path}.subject")
    _check_same_patient(_optional(granted, "patient", path, _text), patient_id)
    expired = expires_in <= 0
    return {
        "token": None if expired else token,
        "token_expired": expired,
        "scopes": tuple(scope.split()),
        "expires_in": expires_in,
        "subject": subject,
    }


def _token(value: Any, path: str) -> str:
    if not _TOKEN.fullmatch(_text(value, path)):
        raise RequestError(f"{path}: expected visible ASCII characters only, got others")
    return str(value)


def _check_token_type(value: Any, path: str) -> None:
    if _text(value, path) != "Bearer":
        raise RequestError(f"{path}: expected 'Bearer', got another text")


def _check_same_patient(token_patient: str | None, patient_id: str) -> None:
    if token_patient not in (None, patient_id):
        raise RequestError("$.fhirAuthorization.patient: expected the id of context.patientId, got another")


# --- JSON kinds -----------------------------------------------------------------------------------------


def _required(holder: dict[str, Any], name: str, path: str) -> Any:
    value = holder.get(name, _NOT_GIVEN)
    if value is _NOT_GIVEN:
        raise RequestError(f"{path}.{name}: required, got nothing")
    return value


def _optional(holder: dict[str, Any], name: str, path: str, read: Callable[[Any, str], _T]) -> _T | None:
    """An optional element; real clients send `null` for what they have not got, so that counts as absent."""
    value = holder.get(name)
    return None if value is None else read(value, f"{path}.{name}")


def _object(value: Any, path: str) -> dict[str, Any]:
    return _of_kind(value, dict, "an object", path)


def _array(value: Any, path: str) -> list[Any]:
    return _of_kind(value, list, "an array", path)


def _text(value: Any, path: str) -> str:
    text = _any_text(value, path)
    if not text:
        raise RequestError(f"{path}: expected a string with content, got an empty one")
    return text


def _any_text(value: Any, path: str) -> str:
    return _of_kind(value, str, "a string", path)


def _whole_number(value: Any, path: str) -> int:
    if isinstance(value, bool):
        raise RequestError(f"{path}: expected a whole number, got a boolean")
    if isinstance(value, float) and value.is_integer():  # JSON does not tell 3600 from 3600.0
        return int(value)
    return _of_kind(value, int, "a whole number", path)


def _of_kind(value: Any, kind: type[_T], expected: str, path: str) -> _T:
    if not isinstance(value, kind):
        raise RequestError(f"{path}: expected {expected}, got {name_kind(value)}")
    return value


def name_kind(value: Any) -> str:
    """What JSON calls the kind of `value`."""
    kinds = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
    return kinds.get(type(value), "something else")
