"""Discovery: the list of services and what is published for each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cds_service.conform.cards import html_in
from cds_service.conform.examination import Entry, Examination, entry_from
from cds_service.conform.exchange import Reply
from cds_service.conform.hooks import DEPRECATED, WITHOUT_KNOWN_CONTEXT, load_hooks
from cds_service.conform.templates import RULES as TEMPLATE_RULES
from cds_service.conform.templates import find_flaws
from cds_service.conform.values import extensions, is_text

PATH = ("cds-services",)
OF_AN_ENTRY = (
    *("CH-105", "CH-106", "CH-107", "CH-108", "CH-109", "CH-110", "CH-111", "CH-112", "CH-308"),
    *TEMPLATE_RULES,
)
OF_DISCOVERY = ("CH-101", "CH-102", "CH-103", "CH-104", "CH-113", "CH-114", *OF_AN_ENTRY)
BALLOT_VERSIONS = ("STU1", "STU2", "STU3")

_MEMBERS = ("hook", "title", "description", "id", "prefetch", "usageRequirements", "extension")
_JUDGED_ELSEWHERE = ("version", "hookVersion")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]*", re.ASCII)
_OWN_HOOK = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+){2,}")


def check_discovery(exam: Examination) -> tuple[Entry, ...]:
    """The services that can be called. An empty answer has its reason in the ledger."""
    reply = exam.client.call("GET", PATH, "discovery")
    if reply.status == 401 and exam.options.signer is None:
        exam.why_no_service = "discovery needs a client token: give --jwk and --issuer"
        exam.ledger.not_tried(OF_DISCOVERY, exam.why_no_service)
        return ()
    if not _has_answered(exam, reply):
        exam.ledger.not_tried(OF_AN_ENTRY, "discovery gave no list of services")
        return ()
    listed = [each for each in reply.body["services"] if isinstance(each, dict)]
    _check_list(exam, reply, listed)
    _check_stable(exam, reply)
    _check_wrong_call(exam)
    for entry in listed:
        _check_entry(exam, entry, f"discovery, service {entry.get('id')!r}")
    return tuple(entry_from(entry) for entry in listed if is_text(entry.get("id")))


def _has_answered(exam: Examination, reply: Reply) -> bool:
    expect, where = exam.ledger.expect, reply.what
    if not expect("CH-101", 200 <= reply.status < 300, where, "an answer", reply.shown):
        return False
    expect("CH-102", reply.status == 200, where, "200", reply.status)
    body = reply.body
    has_list = isinstance(body, dict) and isinstance(body.get("services"), list)
    return expect("CH-103", has_list, where, "an object with an array services", reply.shown)


def _check_list(exam: Examination, reply: Reply, listed: Sequence[Mapping[str, Any]]) -> None:
    expect = exam.ledger.expect
    strange = sorted(set(reply.body) - {"services", "extension"})
    expect("CH-006", not strange, reply.what, "the member services only", strange)
    in_all = len(reply.body["services"])
    expect(
        "CH-103", len(listed) == in_all, reply.what, "objects in services", f"{in_all - len(listed)} others"
    )
    if listed:
        exam.ledger.not_applicable(["CH-104"], "the service offers something")
    else:
        expect("CH-104", reply.status == 200, reply.what, "200", reply.status)
    pairs = Counter((str(entry.get("hook")), str(entry.get("id"))) for entry in listed)
    twice = [f"{hook} {id}" for (hook, id), number in pairs.items() if number > 1]
    expect("CH-109", not twice, reply.what, "each pair of hook and id once", twice)
    for place, extension in extensions(reply.body):
        _check_extension(exam, f"{reply.what}, {place}", extension)


def _check_extension(exam: Examination, where: str, extension: Any) -> None:
    if exam.ledger.expect("CH-901", isinstance(extension, dict), where, "an object", extension):
        short = [name for name in extension if "." not in name]
        exam.ledger.expect("CH-902", not short, where, "unique names such as reverse-domain", short)


def _check_stable(exam: Examination, first: Reply) -> None:
    again = exam.client.call("GET", PATH, "discovery once more")
    exam.ledger.expect("CH-101", again.status == first.status, again.what, str(first.status), again.shown)
    same = again.body == first.body
    exam.ledger.expect("CH-308", same, again.what, "the same services and prefetch keys", "others")


def _check_wrong_call(exam: Examination) -> None:
    reply = exam.client.call("POST", PATH, "POST to the address of discovery", body={})
    exam.ledger.expect("CH-113", reply.status >= 400, reply.what, "4xx, such as 405", reply.shown)
    if exam.options.signer is None:
        exam.ledger.not_applicable(["CH-114"], "discovery is open")


def _check_entry(exam: Examination, entry: Mapping[str, Any], where: str) -> None:
    expect = exam.ledger.expect
    for name, rule_id in (
        ("hook", "CH-105"),
        ("description", "CH-106"),
        ("title", "CH-110"),
        ("id", "CH-107"),
    ):
        expect(rule_id, is_text(entry.get(name)), where, f"a text as {name}", entry.get(name, "nothing"))
    id = entry.get("id")
    if isinstance(id, str):
        fits = _ID.fullmatch(id) is not None and id != "feedback"
        expect("CH-108", fits, where, "an id of A-Z a-z 0-9 - . _ ~, not feedback", id)
    if (usage := entry.get("usageRequirements")) is not None:
        expect("CH-112", isinstance(usage, str), where, "a text as usageRequirements", usage)
    if isinstance(entry.get("description"), str):
        html = html_in(entry["description"])
        expect("CH-V03", not html, where, "a description without HTML", html)
    strange = sorted(set(entry) - {*_MEMBERS, *_JUDGED_ELSEWHERE})
    expect("CH-006", not strange, where, "the members of an entry only", strange)
    _check_versions(exam, entry, where)
    if isinstance(entry.get("hook"), str):
        _check_hook(exam, entry["hook"], where)
    if entry.get("prefetch") is not None:
        _check_prefetch(exam, entry, where)


def _check_versions(exam: Examination, entry: Mapping[str, Any], where: str) -> None:
    version = entry.get("version")
    if exam.options.hooks_version == "2.0.1":
        exam.ledger.expect("CH-V01", version is None, where, "no version under 2.0.1", version)
    else:
        known = version is None or version in BALLOT_VERSIONS
        exam.ledger.expect("CH-V01", known, where, f"one of {', '.join(BALLOT_VERSIONS)}", version)
    hook_version = entry.get("hookVersion")
    exam.ledger.expect("CH-V02", hook_version is None, where, "no hookVersion", hook_version)


def _check_hook(exam: Examination, hook: str, where: str) -> None:
    expect = exam.ledger.expect
    expect("CH-H09", hook not in DEPRECATED, where, "order-select or order-sign instead", hook)
    if hook not in (*load_hooks(), *DEPRECATED, *WITHOUT_KNOWN_CONTEXT):
        named = _OWN_HOOK.fullmatch(hook) is not None
        expect("CH-H24", named, where, "a hook of the library or a name in reverse-domain form", hook)


def _check_prefetch(exam: Examination, entry: Mapping[str, Any], where: str) -> None:
    prefetch = entry["prefetch"]
    if not exam.ledger.expect("CH-111", isinstance(prefetch, dict), where, "an object as prefetch", prefetch):
        return
    for key, template in prefetch.items():
        here = f"{where}, prefetch.{key}"
        if exam.ledger.expect("CH-111", is_text(template), here, "a text", template):
            _check_template(exam, str(entry.get("hook")), template, here)


def _check_template(exam: Examination, hook: str, template: str, where: str) -> None:
    known = load_hooks().get(hook)
    flaws = list(find_flaws(template, known.tokens if known else None, exam.options.hooks_version))
    broken = {flaw.rule_id for flaw in flaws}
    for flaw in flaws:
        exam.ledger.expect(flaw.rule_id, False, where, flaw.expected, template)
    for rule_id in TEMPLATE_RULES:
        if rule_id not in broken:
            exam.ledger.expect(rule_id, True, where, "")


def check_only_listed_hooks(exam: Examination, entries: Iterable[Entry]) -> None:
    """Rules about hooks that the service does not offer do not apply to it."""
    offered = {entry.hook_name for entry in entries}
    for hook in load_hooks().values():
        if hook.name not in offered:
            exam.ledger.not_applicable([hook.rule_id], f"the service does not offer {hook.name}")
    if "order-select" not in offered:
        exam.ledger.not_applicable(["CH-W01"], "the service does not offer order-select")
    if not offered & {"order-select", "order-sign"}:
        exam.ledger.not_applicable(["CH-W02", "CH-H21", "CH-H22"], "the service offers no hook about orders")
    exam.ledger.not_applicable(["CH-H24"], "the service offers no hook of its own")
    if not any("{{%" in template for entry in entries for template in entry.prefetch.values()):
        exam.ledger.not_applicable(["CH-V05", "CH-V06"], "no template has an expression")
