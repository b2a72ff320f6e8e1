"""Dosage texts, such as "Take 1-2 tablets by mouth twice daily for 2 weeks then 3 daily", as amounts and times.

A text is cut into words; the phrases of `tables/sig_phrases.csv` give them meaning; the meanings make
steps ("then"), each with parts ("and"), each with an amount and how often it is taken. Words without a
meaning are passed over, but a number left over or a word of doubt ("titrate", "up to") makes the text
unclear: better no reading than half of one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from itertools import pairwise

from cds_service.tables.dosing import Phrase, PhraseKind, UnitKind, load_sig_phrases, load_units
from cds_service.tables.drugs import Words, decimal

LONGEST_TEXT = 1000


@dataclass(frozen=True)
class Amount:
    """How much at one time, from `low` to `high`, in mg, mL or pieces.

    `mg_each` is the strength of one piece when the text states it; `mg_beside` an amount of mg beside
    a count or volume ("2 tablets (50 mg)") that may be the strength or the total; `is_total` tells that
    it is the total. `is_bare` numbers have no unit ("1 daily").
    """

    low: float
    high: float
    kind: UnitKind
    mg_each: float | None = None
    mg_beside: float | None = None
    is_total: bool = False
    is_bare: bool = False


@dataclass(frozen=True)
class Rate:
    """Times per day, from `low` to `high`."""

    low: float
    high: float


@dataclass(frozen=True)
class Part:
    """An amount and how often it is taken; either may be missing."""

    amount: Amount | None = None
    rate: Rate | None = None


@dataclass(frozen=True)
class Step:
    """Parts taken together, for `days` days if the text says so."""

    parts: tuple[Part, ...]
    days: int | None = None

    @property
    def is_complete(self) -> bool:
        return bool(self.parts) and all(part.amount and part.rate for part in self.parts)


@dataclass(frozen=True)
class DoseText:
    """What a text says. `amounts` and `moments` (times of day) are all it mentions, also when `unclear`."""

    steps: tuple[Step, ...] = ()
    as_needed: bool = False
    unclear: str = ""
    amounts: tuple[Amount, ...] = ()
    moments: frozenset[str] = frozenset()


@lru_cache(maxsize=8192)
def read_dose_text(text: str) -> DoseText:
    """The dosing that a text states, as far as all of its numbers have a meaning."""
    tokens = _tokens(_without_warnings(_plain(text)))
    as_needed = any(token.kind is PhraseKind.AS_NEEDED for token in tokens)
    items = _with_rates(_with_amounts(tokens))
    amounts = tuple(item for item in items if isinstance(item, Amount))
    moments = frozenset(item.slot for item in items if isinstance(item, _Moment) and not item.is_weekday)
    doubt = _doubt(items)
    if doubt:
        return DoseText((), as_needed, doubt, amounts, moments)
    try:
        steps = _inherited(tuple(_step(items_of_step) for items_of_step in _split(items)))
    except _UnclearError as error:
        return DoseText((), as_needed, str(error), amounts, moments)
    return DoseText(tuple(step for step in steps if step.parts), as_needed, "", amounts, moments)


def read_rate(text: str) -> Rate | None:
    """How often, from a code such as `BID` or a phrase; None when the text does not say."""
    steps = read_dose_text(text).steps
    if len(steps) == 1 and len(steps[0].parts) == 1 and steps[0].parts[0].amount is None:
        return steps[0].parts[0].rate
    return None


class _UnclearError(Exception):
    """A text that can be read in several ways."""


# --- words -------------------------------------------------------------------------------------------

VULGAR_FRACTION = re.compile("[¼½¾⅓⅔]")
ABBREVIATION = re.compile(r"\b(?:[a-z]\.)+[a-z]\b\.?")
REWRITES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (
            r"(?<![\d.,])(\d(?:[.,]\d)?) ?- ?(\d(?:[.,]\d)?) ?- ?(\d(?:[.,]\d)?)"
            r"(?: ?- ?(\d(?:[.,]\d)?))?(?![\d.,-])",
            "scheme",
        ),
        (r"\bq\.?\s*(\d+)\s*-\s*(\d+)\s*h\w*", r"every \1-\2 hours"),
        (r"\bq\.?\s*(\d+)\s*h\w*", r"every \1 hours"),
        (r"\bq\.?\s*(\d+)\s*d(?:ays?)?\b", r"every \1 days"),
        (r"\bq\.?\s*(\d+)\s*w\w*", r"every \1 weeks"),
        (r"\(?\b\d+(?:[.,]\d+)?\s*mg\s*/\s*(?:\d+(?:[.,]\d+)?\s*)?ml\b\)?", " "),
        (r"\b(\d+(?:[.,]\d+)?)\s*mg\s*total\b", r"totals \1 mg"),
        (r"\btotal (?:dose )?(?:of |= ?)?(\d+(?:[.,]\d+)?)\s*mg\b", r"totals \1 mg"),
        (r"(?<=[^\W\d_])-(?=[^\W\d_])", " "),
        (r"\b(\d+)\s*x\s*(?:/|per\b|a\b)?\s*(?:day|daily|d|tägl\w*|tgl)\b", r"\1 times daily"),
        (r"\b(\d+)\s*x\s*(?:/|per\b|a\b)?\s*(?:week|weekly|wk)\b", r"\1 times weekly"),
        (r"/\s*(?:24\s*h\w*|day|d)\b", " per day"),
        (r"/\s*(?:week|wk)\b", " per week"),
        (r"\b(\d+)\s*\(\s*(?:one|two|three|four|half)\s*\)", r"\1"),
        (r"\b(?:one|two|three|four)\s*\(\s*(\d+)\s*\)", r"\1"),
        (r"(?:\bat|@)\s*\d{1,2}(?:[:.]?\d{2})?\s*(?:am|a\.m\.?|h|hrs|hours)?(?![\w:])", " in the morning "),
        (r"(?:\bat|@)\s*\d{1,2}(?:[:.]?\d{2})?\s*(?:pm|p\.m\.?)(?![\w:])", " in the evening "),
        (r"\b\d{1,2}:\d{2}(?::\d{2})?\s*(?:am|pm)?(?![\w:])", " at noon "),
    )
)


def _plain(text: str) -> str:
    """Lower case, one spelling of numbers and common short forms."""
    text = VULGAR_FRACTION.sub(lambda match: f" {unicodedata.numeric(match[0]):g} ", text[:LONGEST_TEXT])
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'").replace("'", "")
    text = text.replace("–", "-").replace("—", "-").replace("⁄", "/").replace("_", " ")
    text = ABBREVIATION.sub(lambda match: match[0].replace(".", "") + " ", text)
    for pattern, replacement in REWRITES:
        text = pattern.sub(_daily_scheme if replacement == "scheme" else replacement, text)
    return text


def _daily_scheme(match: re.Match[str]) -> str:
    """ "1-0-2": pieces in the morning, at noon, in the evening (and at night)."""
    return f"{sum(decimal(group) for group in match.groups() if group):g} dailyscheme "


SENTENCE_END = re.compile(r"[.;!\n](?=\s|$)")


def _without_warnings(text: str) -> str:
    """Without the sentences that only warn ("do not exceed 200 mg a day")."""
    warnings = [
        words for words, meanings in load_sig_phrases().items() if meanings[0].kind is PhraseKind.WARNING
    ]
    sentences = SENTENCE_END.split(text)
    if len(sentences) == 1 and not any(" ".join(words) in text for words in warnings):
        return text
    return " \n ".join(sentence for sentence in map(str.strip, sentences) if not _warns(sentence, warnings))


def _warns(sentence: str, warnings: Sequence[Words]) -> bool:
    words = tuple(sentence.split())
    return any(words[: len(warning)] == warning for warning in warnings)


NUMBER = r"\d+(?:[.,]\d+)?"
TOKEN = re.compile(rf"(?P<mixed>\d+\s+\d/[2-4](?!\d))|(?P<fraction>\d/[2-4](?!\d))|(?P<number>{NUMBER})|"
                   r"(?P<word>[^\W\d_]+|/day|[&+\-/%])")  # fmt: skip


@dataclass(frozen=True)
class _Token:
    """A number, or one or more words with their meaning; `kind` is None for words without one."""

    words: Words
    kind: PhraseKind | None = None
    number: float = 0.0
    slot: str = ""


def _tokens(text: str) -> list[_Token]:
    pieces = [(match.lastgroup, match[0]) for match in TOKEN.finditer(text)]
    tokens: list[_Token] = []
    at = 0
    while at < len(pieces):
        kind, piece = pieces[at]
        if kind != "word":
            tokens.append(_Token((piece,), PhraseKind.NUMBER, _number(piece)))
            at += 1
            continue
        words, meanings = _longest_phrase([piece for _, piece in pieces[at : at + 8]])
        tokens += [_token(words, meanings[0])] if meanings else [_Token(words)]
        at += len(words)
    return tokens


def _token(words: Words, phrase: Phrase) -> _Token:
    return _Token(words, phrase.kind, phrase.number, phrase.slot)


def _number(piece: str) -> float:
    whole, _, fraction = piece.rpartition(" ")
    if "/" in fraction:
        top, bottom = fraction.split("/")
        return float(whole or 0) + float(top) / float(bottom)
    return decimal(piece)


def _longest_phrase(words: Sequence[str]) -> tuple[Words, tuple[Phrase, ...]]:
    phrases = load_sig_phrases()
    for length in range(len(words), 0, -1):
        meanings = phrases.get(tuple(words[:length]))
        if meanings:
            return tuple(words[:length]), meanings
    return (words[0],), ()


# --- amounts -----------------------------------------------------------------------------------------


class _Mark(Enum):
    AND = "and"
    THEN = "then"


@dataclass(frozen=True)
class _Days:
    """A length of time: `for` it lasts, or `after` it something changes."""

    days: int
    is_after: bool = False


@dataclass(frozen=True)
class _Times:
    """How often. A `weak` one ("daily") only says that it is each day."""

    per_day: float
    per_day_high: float
    is_weak: bool = False


@dataclass(frozen=True)
class _Moment:
    slot: str
    is_weekday: bool = False


@dataclass(frozen=True)
class _Unclear:
    why: str


_Item = Amount | _Times | _Moment | _Days | _Mark | _Unclear


def _with_amounts(tokens: Sequence[_Token]) -> list[_Item | _Token]:
    """Numbers joined with what follows them: a unit, "times daily", "hours", "weeks"."""
    items: list[_Item | _Token] = []
    item: _Item | _Token
    at = 0
    while at < len(tokens):
        if tokens[at].kind is PhraseKind.NUMBER:
            item, used = _from_number(tokens, at)
        elif _is_every(tokens[at]) and at + 1 < len(tokens) and tokens[at + 1].kind is PhraseKind.NUMBER:
            item, used = _from_every(tokens, at)
        else:
            item, used = tokens[at], 1
        items.append(item)
        at += used
    return _joined_amounts(items)


def _is_every(token: _Token) -> bool:
    return token.words in (("every",), ("each",))


def _from_every(tokens: Sequence[_Token], at: int) -> tuple[_Item, int]:
    """ "every 6-8 hours", "every 2 days"."""
    low, high, used = _number_or_range(tokens, at + 1)
    unit = tokens[at + 1 + used].words[0] if at + 1 + used < len(tokens) else ""
    days = {"h": 1 / 24, "d": 1.0, "w": 7.0}.get(unit[:1]) if unit not in ("with", "when") else None
    if days is None or not low > 0:
        return _Unclear("how often is not clear"), 1 + used
    return _Times(1 / (high * days), 1 / (low * days)), 2 + used


def _from_number(tokens: Sequence[_Token], at: int) -> tuple[_Item, int]:
    low, high, used = _number_or_range(tokens, at)
    after = tokens[at + used] if at + used < len(tokens) else _Token(("",))
    if after.kind is PhraseKind.TIMES or (after.words == ("x",) and _is_daily(tokens, at + used + 1)):
        return _times(tokens, at, low, high, used)
    units = load_units()
    unit = units.get(after.words[0]) if len(after.words) == 1 else None
    if unit:
        if unit.kind is UnitKind.UNREADABLE:
            return _Unclear(f"an amount in {after.words[0]}"), used + 1
        extra = 1 if _is_parenthesised_plural(tokens, at + used + 1) else 0
        return Amount(low * unit.factor, high * unit.factor, unit.kind), used + 1 + extra
    days = _days_meant(after)
    if days:
        return _Days(round(high * days)), used + 1
    return Amount(low, high, UnitKind.COUNT, is_bare=True), used


def _is_parenthesised_plural(tokens: Sequence[_Token], at: int) -> bool:
    return at < len(tokens) and tokens[at].words in (("s",), ("es",))


def _is_daily(tokens: Sequence[_Token], at: int) -> bool:
    return at < len(tokens) and tokens[at].kind in (PhraseKind.EACH_DAY, PhraseKind.TIMES_PER_DAY)


def _times(tokens: Sequence[_Token], at: int, low: float, high: float, used: int) -> tuple[_Item, int]:
    """ "3 times a day", "2-3 times weekly"."""
    following = tokens[at + used + 1] if at + used + 1 < len(tokens) else _Token(("",))
    if following.kind is PhraseKind.EACH_DAY:
        return _Times(low, high), used + 2
    if following.kind is PhraseKind.TIMES_PER_DAY and following.number == 1 / 7:
        return _Times(low / 7, high / 7), used + 2
    return _Unclear("how often is not clear"), used + 1


def _days_meant(token: _Token) -> float | None:
    meanings = load_sig_phrases().get(token.words, ())
    return next((meaning.number for meaning in meanings if meaning.kind is PhraseKind.DAYS), None)


def _number_or_range(tokens: Sequence[_Token], at: int) -> tuple[float, float, int]:
    """ "2", "1-2", "one to two", "50 mg - 100 mg" (the unit is looked at by the caller)."""
    low = tokens[at].number
    if (
        at + 2 < len(tokens)
        and tokens[at + 1].kind is PhraseKind.RANGE
        and tokens[at + 2].kind is PhraseKind.NUMBER
    ):
        return min(low, tokens[at + 2].number), max(low, tokens[at + 2].number), 3
    return low, low, 1


def _joined_amounts(items: Sequence[_Item | _Token]) -> list[_Item | _Token]:
    """Amounts side by side that say one thing: "2 x 50 mg", "2 tablets (50 mg)", "50 mg tablet: take 2"."""
    joined: list[_Item | _Token] = []
    for item in items:
        before = _last_amount(joined)
        if isinstance(item, Amount) and before is not None:
            merged = _merged(joined[before], item, joined[before + 1 :])
            if merged is not None:
                del joined[before:]
                joined.append(merged)
                continue
        joined.append(item)
    return joined


def _last_amount(items: Sequence[_Item | _Token]) -> int | None:
    """The place of an amount that only unmarked words separate from the end."""
    for at in range(len(items) - 1, -1, -1):
        item = items[at]
        if isinstance(item, Amount):
            return at
        if not isinstance(item, _Token) or item.kind not in PASSED_OVER:
            return None
    return None


PASSED_OVER = (None, PhraseKind.EACH, PhraseKind.RANGE, PhraseKind.HARMLESS, PhraseKind.FOR)


def _merged(before: object, after: Amount, between: Sequence[object]) -> Amount | None:
    if not isinstance(before, Amount):
        return None
    words = [word for token in between if isinstance(token, _Token) for word in token.words]
    if before.kind is after.kind:
        is_range = words in (["-"], ["to"], ["or"])
        return (
            Amount(min(before.low, after.low), max(before.high, after.high), after.kind) if is_range else None
        )
    if after.kind is UnitKind.MASS and after.low == after.high and before.mg_each is None:
        if before.is_bare or "of" in words or "x" in words:
            return replace(before, mg_each=after.low, is_bare=False)
        is_total = "totals" in words or before.kind is UnitKind.VOLUME
        return replace(before, mg_beside=after.low, is_total=is_total)
    if before.kind is UnitKind.MASS and before.low == before.high and after.mg_each is None:
        if after.kind is UnitKind.VOLUME:
            return replace(after, mg_beside=before.low, is_total=True)
        if not between and not after.is_bare:  # "100 mg (2 tablets)" may be the total or the strength
            return replace(after, mg_beside=before.low)
        return replace(after, mg_each=before.low, is_bare=False)
    return None


# --- how often -----------------------------------------------------------------------------------------


def _with_rates(items: Iterable[_Item | _Token]) -> list[_Item]:
    """Tokens turned into what they mean; those without a meaning for the dose are dropped."""
    meant: list[_Item] = []
    pending_after = False
    for item in items:
        if not isinstance(item, _Token):
            meant.append(replace(item, is_after=pending_after) if isinstance(item, _Days) else item)
            pending_after = False
            continue
        pending_after = item.kind is PhraseKind.AFTER
        meaning = _meaning(item)
        if meaning is not None:
            meant.append(meaning)
    return meant


def _meaning(token: _Token) -> _Item | None:
    match token.kind:
        case PhraseKind.TIMES_PER_DAY:
            return _Times(token.number, token.number)
        case PhraseKind.EACH_DAY:
            return _Times(1, 1, is_weak=True)
        case PhraseKind.MOMENT:
            return _Moment(token.slot)
        case PhraseKind.WEEKDAY:
            return _Moment(token.slot, is_weekday=True)
        case PhraseKind.AND:
            return _Mark.AND
        case PhraseKind.THEN:
            return _Mark.THEN
        case PhraseKind.UNCLEAR | PhraseKind.WARNING:
            return _Unclear(f'"{" ".join(token.words)}"')
        case _:
            return None


# --- steps and parts -----------------------------------------------------------------------------------


def _doubt(items: Sequence[_Item]) -> str:
    return next((item.why for item in items if isinstance(item, _Unclear)), "")


def _split(items: Sequence[_Item]) -> list[list[_Item]]:
    steps: list[list[_Item]] = [[]]
    for item in items:
        if item is _Mark.THEN:
            steps.append([])
        elif isinstance(item, _Days) and item.is_after and len(steps) > 1:
            steps[-2].append(replace(item, is_after=False))
        else:
            steps[-1].append(item)
    return steps


def _step(items: Sequence[_Item]) -> Step:
    lengths = {item.days for item in items if isinstance(item, _Days)}
    if len(lengths) > 1 or any(isinstance(item, _Days) and item.is_after for item in items):
        raise _UnclearError("several lengths of time")
    groups = _groups([item for item in items if not isinstance(item, _Days)])
    if any(not _are_taken_both(one, next_) for one, next_ in pairwise(how_often for _, how_often in groups)):
        raise _UnclearError("several amounts")
    parts = tuple(Part(amount, _rate(how_often)) for amount, how_often in groups)
    return Step(_added_up(parts), lengths.pop() if lengths else None)


_HowOften = list[_Times | _Moment | _Mark]


def _groups(items: Sequence[_Item]) -> list[tuple[Amount | None, _HowOften]]:
    """Each amount with the times that belong to it: those behind it, or all of them in front of the first."""
    groups: list[tuple[Amount | None, _HowOften]] = [(None, [])]
    for item in items:
        if isinstance(item, Amount):
            if groups[-1][0] is None and not any(isinstance(i, _Moment | _Times) for i in groups[-1][1]):
                groups[-1] = (item, [])
            elif groups[-1][0] is None and len(groups) == 1:
                groups[-1] = (item, groups[-1][1])
            else:
                groups.append((item, []))
        elif isinstance(item, _Times | _Moment | _Mark):
            groups[-1][1].append(item)
    return [group for group in groups if group[0] or any(i is not _Mark.AND for i in group[1])]


def _are_taken_both(one: _HowOften, other: _HowOften) -> bool:
    """Whether two amounts are meant together: "and" between them, or other times of day."""
    slots, others = ({item.slot for item in items if isinstance(item, _Moment)} for items in (one, other))
    return bool(one and one[-1] is _Mark.AND) or bool(slots and others and not slots & others)


def _added_up(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """ "1 tablet and half a tablet daily": an amount without its own times is added to the next."""
    if len(parts) < 2 or all(part.rate for part in parts):
        return parts
    *first, last = parts
    amounts = [part.amount for part in parts]
    kinds = {(amount.kind, amount.mg_each, amount.mg_beside) for amount in amounts if amount}
    if any(part.rate for part in first) or last.rate is None or len(kinds) != 1 or None in amounts:
        raise _UnclearError("several amounts")
    given = [amount for amount in amounts if amount]
    total = replace(given[0], low=sum(a.low for a in given), high=sum(a.high for a in given), is_bare=False)
    return (Part(total, last.rate),)


def _rate(items: _HowOften) -> Rate | None:
    """One rate from all that is said of how often; several that differ are unclear."""
    strong = {(t.per_day, t.per_day_high) for t in items if isinstance(t, _Times) and not t.is_weak}
    if len(strong) > 1:
        raise _UnclearError("several frequencies")
    weekdays = {item.slot for item in items if isinstance(item, _Moment) and item.is_weekday}
    occasions = _occasions(items)
    low, high = strong.pop() if strong else (float(occasions or 1),) * 2
    if (occasions > 1 and not low == high == occasions) or (occasions == 1 and low > 1):
        raise _UnclearError("frequency and times of day differ")
    if weekdays:
        share = len(weekdays) / 7
        return Rate(share, share) if abs(low - share) < 1e-6 else Rate(low * share, high * share)
    if not items or all(item is _Mark.AND for item in items):
        return None
    return Rate(low, high)


def _occasions(items: _HowOften) -> int:
    """Times of day named. Two without "and" between them mean one occasion ("in the evening at bedtime")."""
    slots: list[set[str]] = []
    joined = True
    for item in items:
        if isinstance(item, _Moment) and not item.is_weekday:
            if joined or not slots:
                slots.append(set())
            slots[-1].add(item.slot)
            joined = False
        elif item is _Mark.AND:
            joined = True
    return len({frozenset(group) for group in slots})


def _inherited(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """A step takes over what it leaves unsaid: "1 tablet daily for 7 days, then 2"."""
    if len(steps) < 2 or any(len(step.parts) != 1 for step in steps):
        return steps
    parts = [step.parts[0] for step in steps]
    first_rate = next((part.rate for part in parts if part.rate), None)
    amount: Amount | None = None
    rate = first_rate
    complete: list[Step] = []
    for step, part in zip(steps, parts, strict=True):
        amount = _with_unit_of(amount, part.amount) if part.amount else amount
        rate = part.rate or rate
        complete.append(replace(step, parts=(Part(amount, rate),)))
    return tuple(complete)


def _with_unit_of(earlier: Amount | None, amount: Amount) -> Amount:
    if amount.is_bare and earlier:
        return replace(amount, kind=earlier.kind, mg_each=earlier.mg_each, is_bare=False)
    return amount
