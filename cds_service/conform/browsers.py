"""Whether a page in a browser can call: CORS on discovery, hooks and feedback, and on errors too."""

from __future__ import annotations

from cds_service.conform.examination import Entry, Examination
from cds_service.conform.exchange import Reply

ALLOW_ORIGIN = "Access-Control-Allow-Origin"


def check_browsers(exam: Examination, entry: Entry | None) -> None:
    """Where no reply allows the origin, the service is not meant for browsers, or for those of others."""
    preflights, replies = _preflights(exam, entry), _real_replies(exam, entry)
    if not any(ALLOW_ORIGIN in reply.headers for reply in (*preflights, *replies)):
        why = f"{exam.options.origin} is not allowed: name an origin that is with --origin"
        exam.ledger.not_tried(["CH-817"], why)
        return
    expect = exam.ledger.expect
    for reply in preflights:
        expect("CH-817", 200 <= reply.status < 300, reply.what, "2xx without a token", reply.shown)
    for reply in (*preflights, *replies):
        allowed = reply.headers.get(ALLOW_ORIGIN, "none")
        fits = allowed in ("*", exam.options.origin)
        expect("CH-817", fits, reply.what, f"{ALLOW_ORIGIN} for {exam.options.origin}", allowed)
        with_cookies = reply.headers.get("Access-Control-Allow-Credentials") == "true"
        expect("CH-817", not (allowed == "*" and with_cookies), reply.what, "no * with credentials", "both")


def _real_replies(exam: Examination, entry: Entry | None) -> list[Reply]:
    headers = {"Origin": exam.options.origin}
    call = exam.client.call
    found = [call("GET", ("cds-services",), "discovery from a browser", headers=headers)]
    if entry is not None:
        path, wrong = ("cds-services", entry.id), {"hook": 5}
        found.append(call("POST", path, f"{entry}: a wrong call from a browser", body=wrong, headers=headers))
        if entry.hook is not None:
            body = exam.request(entry, exam.any_patient(entry))
            found.append(call("POST", path, f"{entry}: a call from a browser", body=body, headers=headers))
    return found


def _preflights(exam: Examination, entry: Entry | None) -> list[Reply]:
    """The feedback address counts only if it answers at all."""
    paths: list[tuple[str, ...]] = [("cds-services",)]
    if entry is not None:
        paths += [("cds-services", entry.id), ("cds-services", entry.id, "feedback")]
    replies = {path: _preflight(exam, path) for path in paths}
    return [reply for path, reply in replies.items() if path[-1] != "feedback" or reply.status != 404]


def _preflight(exam: Examination, path: tuple[str, ...]) -> Reply:
    headers = {
        "Origin": exam.options.origin,
        "Access-Control-Request-Method": "GET" if len(path) == 1 else "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    what = f"preflight of {'/'.join(path)}"
    return exam.client.call("OPTIONS", path, what, headers=headers, authorization="", is_noted=False)
