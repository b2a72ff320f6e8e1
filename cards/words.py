"""Reads `catalogue.json`, the wordings, codes, links and reasons of all cards, into frozen values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from importlib import resources
from typing import Any

from cards.card import Coding, Indicator


@lru_cache(maxsize=1)
def load_words() -> Words:
    text = resources.files("cards").joinpath("catalogue.json").read_text(encoding="utf-8")
    return _words(json.loads(text))


@dataclass(frozen=True)
class RequestWords:
    """A ServiceRequest that a suggestion offers. `older_adults` names the one to use late in life instead.

    `takes_note` tells that it carries the list of what is to be clarified. An open request that was written up to
    `open_days` days ago makes it a duplicate.
    """

    name: str
    label: str
    description: str
    category: dict[str, Any]
    code: dict[str, Any]
    priority: str
    is_recommended: bool
    older_adults: str
    takes_note: bool
    open_days: int
    source: str


@dataclass(frozen=True)
class PathwayWords:
    """Where a patient belongs whom the criteria exclude; `words` are looked for in the reason given."""

    category: str
    words: tuple[str, ...]
    why: str
    advice: str


@dataclass(frozen=True)
class CardWords:
    """One kind of card. Of `summaries` the first that is short enough is used."""

    kind: str
    indicator: Indicator
    summaries: tuple[str, ...]
    lead: tuple[str, ...]
    has_trials: bool
    requests: tuple[str, ...]
    override_reasons: tuple[Coding, ...]


@dataclass(frozen=True)
class OrderWords:
    """What a card says of one concern about a drafted order; `…_if_unknown` where it only may be so.

    `removes` offers to take the order off the list. `source_label` is empty where the definition is the source.
    """

    kind: str
    indicator: Indicator
    indicator_if_unknown: Indicator
    summaries: tuple[str, ...]
    summaries_if_unknown: tuple[str, ...]
    title: str
    title_if_unknown: str
    requests: tuple[str, ...]
    removes: bool
    override_reasons: tuple[Coding, ...]
    source_label: str


@dataclass(frozen=True)
class CountWords:
    """How a definition of one rule calls what it counts: `2 adequate trials failed`."""

    one: str
    many: str
    verb: str

    def counted(self, number: float) -> str:
        return f"{number:g} {self.one if number == 1 else self.many}"


class HoldsUntil(Enum):
    """What has to change until an answered card comes back before its quiet period has ended."""

    FACTS = "facts"
    DIAGNOSIS = "diagnosis"
    FAILED_TRIALS = "failed-trials"


@dataclass(frozen=True)
class Meaning:
    """What an override reason does, on the cards `on` (all if empty).

    `withdraws` names requests not offered meanwhile, `instead` what is said.
    """

    holds_until: HoldsUntil = HoldsUntil.FACTS
    covers_all_cards: bool = False
    on: tuple[str, ...] = ()
    withdraws: tuple[str, ...] = ()
    instead: str = ""


@dataclass(frozen=True)
class Words:
    """All words. `levels` maps a wording level of an option to its words, most pressing first.

    `counts` are by the rule of the definition, `parameters` name those of a definition in plain words;
    `optimise` says what to do with a dose below the minimum. `orders` are by the name of the concern,
    `intake` by the kind of card, with `summary` for all; `meanings` are by override reason.
    """

    source_label: str
    topic_system: str
    evidence_label: str
    precautions_label: str
    app_label: str
    already_requested: str
    perhaps_requested: str
    older_adult_from_years: int
    default_scale: str
    levels: dict[str, str]
    counts: dict[str, CountWords]
    parameters: dict[str, str]
    optimise: dict[str, str]
    options_title: str
    cards: dict[str, CardWords]
    requests: dict[str, RequestWords]
    pathways: tuple[PathwayWords, ...]
    other_pathway: PathwayWords
    age_pathway: PathwayWords
    orders: dict[str, OrderWords]
    order_words: dict[str, str]
    intake: dict[str, str]
    safety_topics: tuple[str, ...]
    beyond_diagnosis: tuple[str, ...]
    reason_system: str
    meanings: dict[str, Meaning]


def _words(found: dict[str, Any]) -> Words:
    reasons = _override_reasons(found["override_reasons"])
    pathways = {name: _pathway(name, entry) for name, entry in found["pathways"].items()}
    return Words(
        source_label=found["source_label"],
        topic_system=found["topic_system"],
        evidence_label=found["evidence_label"],
        precautions_label=found["precautions_label"],
        app_label=found["app_label"],
        already_requested=found["already_requested"],
        perhaps_requested=found["perhaps_requested"],
        older_adult_from_years=found["older_adult_from_years"]["value"],
        default_scale=found["default_scale"],
        levels=found["levels"],
        counts={rule: CountWords(**entry) for rule, entry in found["counts"].items()},
        parameters=found["parameters"],
        optimise=found["optimise"],
        options_title=found["options_title"],
        cards={kind: _card(kind, entry, reasons) for kind, entry in found["cards"].items()},
        requests={
            name: _request(name, entry, found["open_request_days"]["value"])
            for name, entry in found["requests"].items()
        },
        other_pathway=pathways.pop("other"),
        age_pathway=pathways.pop("age"),
        pathways=tuple(pathways.values()),
        orders={name: _order(entry, reasons) for name, entry in found["orders"]["concerns"].items()},
        order_words=found["orders"]["words"],
        intake=found["intake"],
        safety_topics=tuple(found["answers"]["safety_topics"]),
        beyond_diagnosis=tuple(found["answers"]["beyond_diagnosis"]),
        reason_system=found["override_reasons"]["system"],
        meanings={code: _meaning(entry) for code, entry in found["answers"]["meanings"].items()},
    )


def _card(kind: str, entry: dict[str, Any], reasons: dict[str, Coding]) -> CardWords:
    return CardWords(
        kind=kind,
        indicator=Indicator(entry["indicator"]),
        summaries=tuple(entry["summaries"]),
        lead=tuple(entry["lead"]),
        has_trials=entry["has_trials"],
        requests=tuple(entry["requests"]),
        override_reasons=tuple(reasons[code] for code in entry["override_reasons"]),
    )


def _order(entry: dict[str, Any], reasons: dict[str, Coding]) -> OrderWords:
    return OrderWords(
        kind=entry["topic"],
        indicator=Indicator(entry["indicator"]),
        indicator_if_unknown=Indicator(entry["indicator_if_unknown"]),
        summaries=tuple(entry["summaries"]),
        summaries_if_unknown=tuple(entry["summaries_if_unknown"]),
        title=entry["title"],
        title_if_unknown=entry["title_if_unknown"],
        requests=tuple(entry["requests"]),
        removes=entry["removes"],
        override_reasons=tuple(reasons[code] for code in entry["override_reasons"]),
        source_label=entry["source_label"],
    )


def _request(name: str, entry: dict[str, Any], open_days: dict[str, int]) -> RequestWords:
    return RequestWords(
        name=name,
        label=entry["label"],
        description=entry["description"],
        category=entry["category"],
        code=entry["code"],
        priority=entry["priority"],
        is_recommended=entry["is_recommended"],
        older_adults=entry.get("older_adults", ""),
        takes_note=entry.get("takes_note", False),
        open_days=open_days.get(name, open_days[entry["priority"]]),
        source=entry["source"],
    )


def _pathway(category: str, entry: dict[str, Any]) -> PathwayWords:
    return PathwayWords(category, tuple(entry["words"]), entry["why"], entry["advice"])


def _override_reasons(entry: dict[str, Any]) -> dict[str, Coding]:
    return {code: Coding(code, entry["system"], display) for code, display in entry["reasons"].items()}


def _meaning(entry: dict[str, Any]) -> Meaning:
    return Meaning(
        holds_until=HoldsUntil(entry["holds_until"]),
        covers_all_cards=entry["covers"] == "all-cards",
        on=tuple(entry.get("on", ())),
        withdraws=tuple(entry.get("withdraws", ())),
        instead=entry.get("instead", ""),
    )
