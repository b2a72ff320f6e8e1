"""Every rule about the body of a hook's reply: cards, suggestions, actions, links, extensions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fhir.resources.R4B import get_fhir_model_class
from markdown_it import MarkdownIt

from cds_service.conform.exchange import Reply
from cds_service.conform.results import Ledger, shorten
from cds_service.conform.values import extensions, is_absolute_url, is_text, is_uuid

Object = Mapping[str, Any]

INDICATORS = ("info", "warning", "critical")
OUTSIDE_OF_2 = ("actionSelectionBehavior",)  # looked at by a rule of its own
_RELATIVE = re.compile(r"[A-Za-z]+/[A-Za-z0-9.\-]{1,64}")
_UNIQUE_NAME = re.compile(r"([A-Za-z0-9_\-]+\.)+[A-Za-z0-9_\-]+|https?://\S+")
_MARKDOWN = ("**", "`", "](", "~~", "|")
_MEMBERS = {
    "reply": ("cards", "systemActions"),
    "card": (
        *("uuid", "summary", "detail", "indicator", "source", "suggestions"),
        *("selectionBehavior", "overrideReasons", "links"),
    ),
    "source": ("label", "url", "icon", "topic"),
    "suggestion": ("label", "uuid", "isRecommended", "actions"),
    "action": ("type", "description", "resource", "resourceId"),
    "link": ("label", "url", "type", "appContext", "autolaunchable"),
}


@dataclass
class CardCheck:
    """Looks at the replies of hooks, one after the other; remembers which uuids were there before."""

    ledger: Ledger
    seen: dict[str, str] = field(default_factory=dict)

    def inspect(self, reply: Reply, patient_id: str) -> None:
        """Looks at a 200 of a hook that was about this patient."""
        body = reply.body
        cards = body.get("cards") if isinstance(body, dict) else None
        if not self.ledger.expect(
            "CH-501", isinstance(cards, list), reply.what, "an object with an array cards", reply.shown
        ):
            return
        _Inspection(self.ledger, self.seen, reply.what, patient_id).reply(body)


@dataclass
class _Inspection:
    """One reply. `place` below names JSON paths, which findings show after the call."""

    ledger: Ledger
    seen: dict[str, str]
    what: str
    patient_id: str

    def expect(self, rule_id: str, holds: bool, place: str, expected: str, came: object) -> bool:
        return self.ledger.expect(rule_id, holds, f"{self.what}, {place}", expected, came)

    def reply(self, body: Object) -> None:
        self.members("reply", body, "$")
        for place, extension in extensions(body):
            self.extension(extension, place)
        for card, place in self.objects("CH-501", body["cards"], "$.cards"):
            self.card(card, place)
        if "systemActions" in body:
            for action, place in self.objects("CH-503", body["systemActions"], "$.systemActions"):
                self.action(action, place)

    def members(self, kind: str, value: Object, place: str) -> None:
        known = (*_MEMBERS[kind], "extension", *OUTSIDE_OF_2)
        strange = sorted(set(value) - set(known))
        self.expect("CH-006", not strange, place, f"the members of a {kind} only", strange)
        if kind in ("suggestion", "card"):
            self.expect(
                "CH-V04",
                "actionSelectionBehavior" not in value,
                place,
                "no actionSelectionBehavior",
                "it is there",
            )

    def objects(self, rule_id: str, value: Any, place: str) -> Iterator[tuple[Object, str]]:
        """The objects of an array that is there; null and empty ones are the business of CH-003 and CH-004."""
        if value is None:
            return
        if not self.expect(rule_id, isinstance(value, list), place, "an array", value):
            return
        for number, part in enumerate(value):
            if part is None:
                continue
            here = f"{place}[{number}]"
            if self.expect(rule_id, isinstance(part, dict), here, "an object", part):
                yield part, here

    def extension(self, value: Any, place: str) -> None:
        if value is None:
            return
        if self.expect("CH-901", isinstance(value, dict), place, "an object", value):
            strange = [name for name in value if not _UNIQUE_NAME.fullmatch(name)]
            self.expect("CH-902", not strange, place, "unique names such as reverse-domain", strange)

    # --- cards --------------------------------------------------------------------------------------------

    def card(self, card: Object, place: str) -> None:
        self.members("card", card, place)
        self.summary(card.get("summary"), f"{place}.summary")
        self.expect(
            "CH-506",
            card.get("indicator") in INDICATORS,
            f"{place}.indicator",
            f"one of {', '.join(INDICATORS)}",
            card.get("indicator", "nothing"),
        )
        self.source(card.get("source"), f"{place}.source")
        self.identity("CH-512", card, place)
        if card.get("detail") is not None:
            self.detail(card["detail"], f"{place}.detail")
        self.selection(card, place)
        for reason, here in self.objects("CH-516", card.get("overrideReasons"), f"{place}.overrideReasons"):
            self.coding(reason, here)
            self.expect("CH-516", is_text(reason.get("display")), here, "display", sorted(reason))
        for link, here in self.objects("CH-517", card.get("links"), f"{place}.links"):
            self.link(link, here)

    def summary(self, summary: Any, place: str) -> None:
        if not self.expect("CH-505", is_text(summary), place, "a string with content", summary):
            return
        length = max(len(summary), len(summary.encode("utf-16-le", "surrogatepass")) // 2)
        self.expect("CH-505", length < 140, place, "fewer than 140 characters", f"{length}: {summary}")
        is_plain = summary.isprintable() and not any(mark in summary for mark in _MARKDOWN)
        self.expect("CH-505", is_plain, place, "one line of plain text", summary)

    def source(self, source: Any, place: str) -> None:
        if not self.expect("CH-507", isinstance(source, dict), place, "an object", source):
            return
        self.members("source", source, place)
        self.expect("CH-508", is_text(source.get("label")), f"{place}.label", "a text", source.get("label"))
        for name, rule_id in (("url", "CH-509"), ("icon", "CH-510")):
            if source.get(name) is not None:
                self.address(rule_id, source[name], f"{place}.{name}")
        topic = source.get("topic")
        if topic is not None and self.expect(
            "CH-511",
            isinstance(topic, dict) and "coding" not in topic,
            f"{place}.topic",
            "one Coding",
            topic,
        ):
            self.coding(topic, f"{place}.topic")

    def address(self, rule_id: str, url: Any, place: str) -> None:
        is_fit = is_absolute_url(url) and self.patient_id not in url
        self.expect(rule_id, is_fit, place, "an absolute http(s) URL without the patient's id", url)

    def coding(self, coding: Object, place: str) -> None:
        has_both = is_text(coding.get("code")) and is_text(coding.get("system"))
        self.expect("CH-518", has_both, place, "code and system", sorted(coding))
        strange = sorted(set(coding) - {"code", "system", "display", "extension"})
        self.expect("CH-518", not strange, place, "code, system and display only", strange)

    def identity(self, rule_id: str, holder: Object, place: str) -> None:
        """The uuid, if there is one: of the right form, and not seen before."""
        if holder.get("uuid") is None:
            return
        found, here = holder["uuid"], f"{place}.uuid"
        if self.expect(rule_id, is_uuid(found), here, "a UUID", found):
            before = self.seen.get(found.lower())
            self.expect(rule_id, before is None, here, "a uuid that was not there before", f"as in {before}")
            self.seen.setdefault(found.lower(), f"{self.what}, {place}")

    def detail(self, detail: Any, place: str) -> None:
        if self.expect("CH-513", isinstance(detail, str), place, "a string", detail):
            found = html_in(detail)
            for rule_id in ("CH-513", "CH-V03"):
                self.expect(rule_id, not found, place, "Markdown without HTML", found)

    def selection(self, card: Object, place: str) -> None:
        suggestions = list(self.objects("CH-514", card.get("suggestions"), f"{place}.suggestions"))
        behavior, here = card.get("selectionBehavior"), f"{place}.selectionBehavior"
        if suggestions:
            self.expect("CH-515", behavior in ("any", "at-most-one"), here, "any or at-most-one", behavior)
        elif behavior is not None:
            self.expect("CH-515", False, here, "none where there are no suggestions", behavior)
        recommended = [1 for suggestion, _ in suggestions if suggestion.get("isRecommended") is True]
        if suggestions and behavior == "at-most-one":
            self.expect("CH-603", len(recommended) < 2, place, "at most one isRecommended", len(recommended))
        for suggestion, where in suggestions:
            self.suggestion(suggestion, where)

    # --- suggestions, actions, links ----------------------------------------------------------------------

    def suggestion(self, suggestion: Object, place: str) -> None:
        self.members("suggestion", suggestion, place)
        label = suggestion.get("label")
        self.expect("CH-601", is_text(label), f"{place}.label", "a text", label)
        self.identity("CH-602", suggestion, place)
        recommended = suggestion.get("isRecommended")
        if recommended is not None:
            self.expect(
                "CH-603", isinstance(recommended, bool), place, "a boolean isRecommended", recommended
            )
        for action, here in self.objects("CH-604", suggestion.get("actions"), f"{place}.actions"):
            self.action(action, here)

    def action(self, action: Object, place: str) -> None:
        self.members("action", action, place)
        kind, description = action.get("type"), action.get("description")
        self.expect("CH-607", is_text(description), f"{place}.description", "a text", description)
        judge: dict[object, Callable[[Object, str], None]] = {
            "create": self.creation,
            "update": self.change,
            "delete": self.deletion,
        }
        if self.expect("CH-606", kind in judge, f"{place}.type", "create, update or delete", kind):
            judge[kind](action, place)

    def creation(self, action: Object, place: str) -> None:
        resource: Any = action.get("resource")
        if self.expect("CH-608", isinstance(resource, dict), place, "a resource", sorted(action)):
            self.resource(resource, f"{place}.resource")
            subject = resource.get("subject")
            about = subject.get("reference", "") if isinstance(subject, dict) else ""
            is_patient = not about or about.endswith(f"Patient/{self.patient_id}")
            self.expect(
                "CH-608", is_patient, f"{place}.resource.subject", "the patient of the context", about
            )

    def change(self, action: Object, place: str) -> None:
        resource = action.get("resource")
        has_id = isinstance(resource, dict) and is_text(resource.get("id"))
        if self.expect("CH-609", has_id, place, "a whole resource with its id", sorted(action)):
            self.resource(resource, f"{place}.resource")

    def deletion(self, action: Object, place: str) -> None:
        id = action.get("resourceId")
        is_relative = isinstance(id, str) and _RELATIVE.fullmatch(id) is not None
        self.expect("CH-610", is_relative, f"{place}.resourceId", "Type/id", id)
        self.expect(
            "CH-610", "resource" not in action, place, "no resource beside resourceId", sorted(action)
        )

    def resource(self, resource: Any, place: str) -> None:
        problem = fhir_problem(resource)
        self.expect("CH-008", not problem, place, "a valid FHIR R4 resource", problem)

    def link(self, link: Object, place: str) -> None:
        self.members("link", link, place)
        label, url, kind = link.get("label"), link.get("url"), link.get("type")
        self.expect("CH-611", is_text(label), f"{place}.label", "a text", label)
        self.address("CH-612", url, f"{place}.url")
        self.expect("CH-613", kind in ("absolute", "smart"), f"{place}.type", "absolute or smart", kind)
        if kind == "smart" and isinstance(url, str):
            given = sorted({"iss", "launch"} & _parameters(url))
            self.expect("CH-614", not given, f"{place}.url", "no iss and no launch", given)
        if (app := link.get("appContext")) is not None:
            is_fit = isinstance(app, str) and kind == "smart"
            self.expect("CH-615", is_fit, f"{place}.appContext", "a string in a smart link", app)
        if (hint := link.get("autolaunchable")) is not None:
            self.expect("CH-616", isinstance(hint, bool), f"{place}.autolaunchable", "a boolean", hint)


def _parameters(url: str) -> set[str]:
    try:
        return set(parse_qs(urlsplit(url).query, keep_blank_values=True))
    except ValueError:
        return set()


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def html_in(markdown: str) -> list[str]:
    """The pieces of raw HTML that a renderer of GitHub Flavored Markdown would see."""
    tokens = [part for token in _markdown().parse(markdown) for part in (token, *(token.children or ()))]
    return [shorten(token.content) for token in tokens if token.type in ("html_block", "html_inline")]


def fhir_problem(resource: Mapping[str, Any]) -> str:
    """Why this is no valid R4 resource, in one line; empty if it is."""
    try:
        get_fhir_model_class(str(resource.get("resourceType"))).model_validate(dict(resource))
    except KeyError:
        return f"no resource type {resource.get('resourceType')!r}"
    except ValueError as error:
        return shorten(str(error))
    return ""
