"""Dosage texts, such as "Take 1-2 tablets by mouth twice daily for 2 weeks then 3 daily", as amounts and times.

A text is cut into words; the phrases of `tables/sig_phrases.csv` give them meaning; a small grammar makes of
them amounts, times and lengths; these make steps ("then"), each with parts ("and"), each with an amount and how
often it is taken. Words without a meaning are passed over, but a number left over or a word of doubt
("titrate", "up to") makes the text unclear: better no reading than half of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise, takewhile

from cds_service.fhir_reading.dose_amounts import (
    is_same,
    joined,
    read_amount,
    read_bound,
    read_ladder,
    read_later_change,
)
from cds_service.fhir_reading.dose_items import (
    MOST_BARE_PIECES,
    NOT_HERE,
    Amount,
    Item,
    Ladder,
    Length,
    Mark,
    Moment,
    Most,
    Part,
    Rate,
    Read,
    SomeDays,
    Stretch,
    Times,
    Total,
    Unclear,
    UnclearError,
)
from cds_service.fhir_reading.dose_noise import read_company, read_meals, read_supply, read_warning
from cds_service.fhir_reading.dose_numbers import is_joint
from cds_service.fhir_reading.dose_parts import parts_of
from cds_service.fhir_reading.dose_times import (
    read_date,
    read_days,
    read_heading,
    read_how_often,
    read_length,
    read_moment,
)
from cds_service.fhir_reading.dose_words import Token, Tokens, is_between_frequencies, tokens_of
from cds_service.tables.dosing import PhraseKind, UnitKind
from cds_service.tables.drugs import load_form_words, load_names

__all__ = ["Amount", "DoseText", "Part", "Rate", "Step", "read_dose_text", "read_rate"]

LONGEST_TEXT = 1000
MOST_ITEMS = 100
MOST_STEPS = 40


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
    """What a text says. `amounts` and `moments` (times of day) are all it mentions, also when `unclear`.

    `most_per_day` is the most it allows in a day, which is no dose; `stops` tells that nothing is taken
    after the last step; `is_not_as_ordered` that it is not, or no longer, taken as the order says. `has_end`:
    it tells a length, a stop or a date, also when `unclear`; `is_length_open`: by that alone its days are not
    known ("7-10 days", a date, refills beside a length).
    """

    steps: tuple[Step, ...] = ()
    as_needed: bool = False
    unclear: str = ""
    amounts: tuple[Amount, ...] = ()
    moments: frozenset[str] = frozenset()
    most_per_day: Amount | None = None
    stops: bool = False
    is_not_as_ordered: bool = False
    has_end: bool = False
    is_length_open: bool = False


@lru_cache(maxsize=8192)
def read_dose_text(text: str) -> DoseText:
    """The dosing that a text states, as far as all of its numbers have a meaning."""
    if len(text) > LONGEST_TEXT:
        return DoseText(unclear="the text is too long to be a dosage")
    tokens = tokens_of(text)
    found = _items(tokens)
    items = [*joined(found), *_not_understood(tokens, found)]
    if len(items) > MOST_ITEMS:
        return DoseText(unclear="the text is too long to be a dosage")
    is_in_part = _is_needed_in_part(items)
    said = DoseText(
        as_needed=Mark.AS_NEEDED in items and not is_in_part,
        amounts=tuple(item for item in items if isinstance(item, Amount)),
        moments=frozenset(item.slot for item in items if isinstance(item, Moment)),
        most_per_day=_most_per_day(items),
        is_not_as_ordered=any(isinstance(item, Unclear) and item.is_not_as_ordered for item in items),
        has_end=Mark.STOP in items
        or Mark.DATE in items
        or any(isinstance(i, Length | Stretch) for i in items),
        is_length_open=_is_length_open(items),
    )
    if is_in_part:
        return replace(said, unclear="a part of it is taken only as needed")
    try:
        steps, stops = _steps(_without_bounds(items))
    except UnclearError as error:
        return replace(said, unclear=str(error))
    return replace(said, steps=tuple(step for step in steps if step.parts), stops=stops)


def _is_length_open(items: Sequence[Item]) -> bool:
    lengths = [item for item in items if isinstance(item, Length)]
    is_repeated = Mark.REFILLS in items and Mark.STOP not in items and bool(lengths)
    return Mark.DATE in items or is_repeated or any(length.days is None for length in lengths)


def _is_needed_in_part(items: Sequence[Item]) -> bool:
    """Whether one amount is taken as needed, and another, with times of its own, regularly."""
    first, *others = _clauses_with_amounts(items) or [[]]
    is_needed = [Mark.AS_NEEDED in clause for clause in others]
    if Mark.AS_NEEDED not in first or items[0] is Mark.AS_NEEDED:
        return Mark.AS_NEEDED not in first and any(is_needed)
    return not any(is_needed) and any(_has_rate(clause) for clause in others)


def _clauses_with_amounts(items: Sequence[Item]) -> list[list[Item]]:
    """The items up to each next amount, or doubt behind a dose ("may repeat"): what is said behind it is said of it."""
    clauses: list[list[Item]] = []
    for item in items:
        begins = isinstance(item, Amount) and (not clauses or _has_rate(clauses[-1]))
        begins = begins or (isinstance(item, Unclear) and bool(clauses) and _has_dose(clauses[-1]))
        if begins or not clauses:
            clauses.append([])
        clauses[-1].append(item)
    return clauses


def _has_rate(items: Iterable[Item]) -> bool:
    return any(isinstance(item, Times | Moment | SomeDays) for item in items)


def _has_dose(items: Sequence[Item]) -> bool:
    return any(isinstance(item, Amount) for item in items) and _has_rate(items)


def read_rate(text: str) -> Rate | None:
    """How often, from a code such as `BID` or a phrase; None when the text does not say."""
    steps = read_dose_text(text).steps
    if len(steps) == 1 and len(steps[0].parts) == 1 and steps[0].parts[0].amount is None:
        return steps[0].parts[0].rate
    return None


# --- tokens to items ------------------------------------------------------------------------------------

MARKS = {
    PhraseKind.AND: Mark.AND,
    PhraseKind.ALTERNATE: Mark.ALTERNATE,
    PhraseKind.DIVIDED: Mark.DIVIDED,
    PhraseKind.ONWARD: Mark.ONWARD,
    PhraseKind.STOP: Mark.STOP,
    PhraseKind.PLAN: Mark.PLAN,
    PhraseKind.AS_NEEDED: Mark.AS_NEEDED,
    PhraseKind.EACH: Mark.OF,
    PhraseKind.OR: Mark.OR,
}
IN_DOUBT = (
    PhraseKind.UNCLEAR,
    PhraseKind.ABOUT,
    PhraseKind.CONDITION,
    PhraseKind.UP_TO,
    PhraseKind.MAXIMUM,
    PhraseKind.CHANGE,
    PhraseKind.EXCEPT,
    PhraseKind.ORDINAL,
)
PUNCTUATION = {
    ",": Mark.COMMA, ".": Mark.BREAK, ";": Mark.BREAK, "!": Mark.BREAK, "\n": Mark.BREAK, "(": Mark.OPEN,
    ")": Mark.CLOSE, "=": Mark.EQUALS, "x": Mark.WORD, "or": Mark.OR, "/": Mark.COMMA, ":": Mark.WORD,
}  # fmt: skip


def _read_then(tokens: Tokens, at: int) -> Read:
    """ "then"; where the words say that another dose replaces the one before, with a mark of that."""
    then = tokens[at].meaning(PhraseKind.THEN)
    if then is None:
        return NOT_HERE
    return ((Mark.THEN, Mark.CHANGE) if then.slot == "change" else (Mark.THEN,)), 1


NUMBERS = (PhraseKind.NUMBER, PhraseKind.ROMAN, PhraseKind.ARTICLE)
# Each rule, in order, with the kinds of words that what it reads may begin with.
RULES: tuple[tuple[Callable[[Tokens, int], Read], frozenset[PhraseKind]], ...] = tuple(
    (rule, frozenset(kinds))
    for rule, kinds in (
        (read_warning, (PhraseKind.WARNING, PhraseKind.CONDITION)),
        (read_meals, (PhraseKind.MEALS,)),
        (read_date, (PhraseKind.DATE, PhraseKind.DATE_FOLLOWS, PhraseKind.WEEKDAY, PhraseKind.MONTH, *NUMBERS)),
        (read_supply, (PhraseKind.SUPPLY, *NUMBERS)),
        (read_company, (PhraseKind.WITH,)),
        (read_bound, (PhraseKind.TOTAL, PhraseKind.EQUALS, PhraseKind.MAXIMUM, PhraseKind.UP_TO)),
        (read_ladder, (PhraseKind.CHANGE,)),
        (read_later_change, (PhraseKind.CHANGE,)),
        (read_moment, (PhraseKind.MOMENT, PhraseKind.AT, PhraseKind.NIGHT_OR_ON, *NUMBERS)),
        (read_heading, (PhraseKind.DAYS, PhraseKind.ORDINAL)),
        (read_how_often, (PhraseKind.EACH_DAY, PhraseKind.TIMES_PER_DAY, PhraseKind.OCCASIONS, PhraseKind.EVERY,
                          PhraseKind.PER, PhraseKind.TIMES, PhraseKind.ALTERNATE, *NUMBERS)),
        (read_days, (PhraseKind.WEEKDAY, PhraseKind.EXCEPT, PhraseKind.OTHER_DAYS, PhraseKind.HALF_OF_DAYS)),
        (read_length, (PhraseKind.FOR, PhraseKind.AFTER, PhraseKind.ABOUT, *NUMBERS)),
        (read_amount, (PhraseKind.STRENGTH, *NUMBERS)),
        (_read_then, (PhraseKind.THEN,)),
    )
)  # fmt: skip


@lru_cache(maxsize=1024)
def _rules_for(kinds: frozenset[PhraseKind]) -> tuple[Callable[[Tokens, int], Read], ...]:
    return tuple(rule for rule, beginnings in RULES if kinds & beginnings)


def _items(tokens: Tokens) -> list[Item]:
    items: list[Item] = []
    at = 0
    while at < len(tokens):
        read, used = _read(tokens, at)
        items += read
        at += used
    return items


def _read(tokens: Tokens, at: int) -> Read:
    for rule in _rules_for(tokens[at].kinds):
        read, used = rule(tokens, at)
        if used:
            return read, used
    return (_mark(tokens, at),), 1


def _mark(tokens: Tokens, at: int) -> Item:
    token = tokens[at]
    if token.text in PUNCTUATION:
        return PUNCTUATION[token.text]
    kinds = token.kinds
    if kinds >= {PhraseKind.ARTICLE, PhraseKind.FOREIGN} and not is_joint(tokens, at):
        return Unclear(f'"{token.text}"')
    mark = next((MARKS[meaning.kind] for meaning in token.meanings if meaning.kind in MARKS), None)
    if mark:
        return mark
    if PhraseKind.RANGE in kinds and PhraseKind.UP_TO not in kinds:
        if is_between_frequencies(tokens[at - 1], tokens[at + 1]):
            return Unclear("how often")
        return Mark.RANGE
    if any(kind in IN_DOUBT for kind in kinds) and PhraseKind.HARMLESS not in kinds:
        doubt = token.meaning(PhraseKind.UNCLEAR)
        return Unclear(f'"{token.text}"', bool(doubt and doubt.slot))
    return Mark.WORD


def _not_understood(tokens: Tokens, items: Sequence[Item]) -> Sequence[Item]:
    """Doubt about a word that no table has, where each must be known.

    In another language, or behind the bare numbers of a scheme, it may well say "weekly" or "paused".
    """
    places = range(len(tokens))
    if Mark.SCHEME not in items and not any(tokens.is_kind(at, PhraseKind.FOREIGN) for at in places):
        return []
    words = (tokens[at] for at in places if tokens[at].text.isalpha() and tokens[at].text not in PUNCTUATION)
    unknown = (word for word in words if not word.meanings and word.unit is None and not _is_product(word))
    return [Unclear(f'"{word.text}"') for word in unknown][:1]


def _is_product(word: Token) -> bool:
    return word.words in load_names() or word.text in load_form_words()


# --- what bounds the dose -------------------------------------------------------------------------------


def _most_per_day(items: Sequence[Item]) -> Amount | None:
    bounds = {item.amount for item in items if isinstance(item, Most) and item.is_daily}
    return bounds.pop() if len(bounds) == 1 else None


def _without_bounds(items: Sequence[Item]) -> list[Item]:
    """Without the limits; "up to" is one only for what is taken as needed, and otherwise a dose that is left open."""
    is_open = any(isinstance(item, Most) and item.is_permission for item in items)
    has_rate = any(isinstance(item, Times | Moment) for item in items)
    if is_open and not (Mark.AS_NEEDED in items and has_rate and any(isinstance(i, Amount) for i in items)):
        raise UnclearError('"up to"')
    return [item for item in items if not isinstance(item, Most) and item is not Mark.AS_NEEDED]


# --- steps ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Segment:
    """The items of one step, with its length or the days that its heading names."""

    items: tuple[Item, ...]
    days: int | None = None
    stretch: Stretch | None = None

    @property
    def has_dose(self) -> bool:
        return any(isinstance(item, Amount | Times | Moment | SomeDays | Total) for item in self.items)


def _steps(items: Sequence[Item]) -> tuple[tuple[Step, ...], bool]:
    """The steps that the items make, and whether the course stops after them."""
    doubt = next((item.why for item in items if isinstance(item, Unclear)), "")
    amounts = [item for item in items if isinstance(item, Amount)]
    if doubt or any(amount.kind is UnitKind.UNREADABLE for amount in amounts):
        raise UnclearError(doubt or "an amount in a unit that gives no mg")
    if any(amount.low <= 0 < amount.high or amount.mg_each == 0 for amount in amounts):
        raise UnclearError("an amount of nothing")
    if amounts and all(amount.high <= 0 for amount in amounts):
        raise UnclearError("an amount of nothing")
    has_date, has_refills, is_plan = (mark in items for mark in (Mark.DATE, Mark.REFILLS, Mark.PLAN))
    if is_plan and any(isinstance(item, Amount) for item in items[: items.index(Mark.PLAN)]):
        raise UnclearError("a change of dose that is not told in full")
    items = [item for item in items if item not in (Mark.PLAN, Mark.DATE, Mark.REFILLS)]
    items, stops = _without_stop(_with_parts_of_a_day(items))
    segments = [_segment(part) for part in _split(items)]
    if len(segments) > 1 and not all(segment.has_dose for segment in segments):
        raise UnclearError("what comes then is not told")
    steps = _inherited(tuple(Step(parts_of(segment.items), segment.days) for segment in segments))
    steps = _with_stretches(steps, segments, stops)
    if has_date:
        steps = tuple(replace(step, days=None) for step in steps)
    if has_refills and not stops:
        steps = (*steps[:-1], *(replace(step, days=None) for step in steps[-1:]))
    if is_plan and not (len(steps) > 1 and all(step.days for step in steps[:-1])):
        raise UnclearError("a change of dose that is not told in full")
    if stops and not (steps and (steps[-1].days or has_date)):
        raise UnclearError("when it stops is not told")
    return steps, stops


def _with_parts_of_a_day(items: Sequence[Item]) -> list[Item]:
    """ "1 tablet in the morning, then half a tablet at night": both on each day, and no step of its own."""
    thens = [at for at, item in enumerate(items) if item is Mark.THEN]
    has_lengths = any(isinstance(item, Length | Stretch | Ladder) for item in items) or Mark.STOP in items
    if has_lengths or Mark.CHANGE in items or not thens:
        return [item for item in items if item is not Mark.CHANGE]
    slots = [
        {item.slot for item in items[begin:end] if isinstance(item, Moment)}
        for begin, end in pairwise([0, *thens, len(items)])
    ]
    are_apart = all(slots) and len(frozenset().union(*slots)) == sum(map(len, slots))
    return [Mark.AND if item is Mark.THEN and are_apart else item for item in items]


def _without_stop(items: Sequence[Item]) -> tuple[list[Item], bool]:
    """ "then stop" at the end, also "stop after 2 weeks"."""
    if Mark.STOP not in items:
        return list(items), False
    at = items.index(Mark.STOP)
    rest = [item for item in items[at + 1 :] if item is not Mark.THEN]
    if rest and not (len(rest) == 1 and isinstance(rest[0], Length)):
        raise UnclearError('"stop"')
    before = list(items[:at])
    while before and before[-1] in (Mark.THEN, Mark.AND):
        before.pop()
    return [*before, *(replace(item, is_after=False) for item in rest if isinstance(item, Length))], True


def _split(items: Sequence[Item]) -> list[list[Item]]:
    """The items of each step: at "then", at a heading, and where another amount follows a length."""
    if sum(isinstance(item, Length) and item.is_after for item in items) > 1:
        raise UnclearError("whether the times count from the start or from each change is not told")
    steps: list[list[Item]] = [[]]
    for at, item in enumerate(items):
        following = items[at + 1 :]
        if item is Mark.THEN or item is Mark.ONWARD:
            if item is Mark.THEN or any(isinstance(i, Amount | Times | Moment | Total) for i in following):
                steps.append([])
        elif isinstance(item, Ladder):
            steps += _rungs(steps[-1], item)
        elif isinstance(item, Stretch):
            if _are_behind_their_doses(items):
                steps[-1].append(item)
            else:
                steps.append([item])
        elif isinstance(item, Length) and item.is_after:
            _change_after(steps, item, following)
        elif _begins_step(steps[-1], item, following):
            steps.append([item])
        else:
            steps[-1].append(item)
    told = [step for step in steps if any(item is not Mark.AND for item in step)]
    if not steps[-1] and Mark.THEN in items:
        raise UnclearError("what comes then is not told")
    return told


def _are_behind_their_doses(items: Sequence[Item]) -> bool:
    """ "2 tablets on day 1, then ..." and not "day 1: 2 tablets"; told by the first that the text names."""
    at = next(at for at, item in enumerate(items) if isinstance(item, Stretch))
    stretch, following = items[at], items[at + 1 : at + 2]
    is_first = isinstance(stretch, Stretch) and stretch.first == 1
    return any(isinstance(item, Amount) for item in items[:at]) and (
        is_first or following in ([], [Mark.THEN])
    )


def _begins_step(step: Sequence[Item], item: Item, following: Sequence[Item]) -> bool:
    """ "25 mg daily x 7 days, 50 mg daily x 7 days"; "for 1 week 25 mg, for 1 week 50 mg"."""
    if not any(isinstance(i, Amount) for i in step) or not any(isinstance(i, Length | Stretch) for i in step):
        return False
    if isinstance(step[0], Length | Stretch):
        return isinstance(item, Length)
    if not isinstance(item, Amount) or not isinstance(step[-1], Length | Stretch):
        return False
    own = list(takewhile(lambda i: not isinstance(i, Amount), following))
    if item.is_bare and not any(isinstance(i, Times | Moment | SomeDays | Length | Stretch) for i in own):
        raise UnclearError("a number without a unit behind a length of time")  # "3 weeks out of 4"
    moments = {i.slot for i in step if isinstance(i, Moment)}
    next_moments = {i.slot for i in own if isinstance(i, Moment)}
    if moments and next_moments and not moments & next_moments:
        raise UnclearError("whether the amounts are taken together or one after the other is not told")
    return True


def _change_after(steps: list[list[Item]], length: Length, following: Sequence[Item]) -> None:
    """A length after which the dose changes belongs to the step before the change."""
    changed = replace(length, is_after=False)
    next_ = following[0] if following else None
    if next_ is Mark.THEN:
        steps[-1].append(changed)
    elif len(steps) > 1 and not isinstance(next_, Amount):
        steps[-2].append(changed)
    elif isinstance(next_, Amount | Times | Moment):
        steps[-1].append(changed)
        steps.append([])
    else:
        raise UnclearError("what changes after a time is not told")


def _rungs(start: list[Item], ladder: Ladder) -> list[list[Item]]:
    """The steps of a ladder from the amount of the step before it, which gets its length too."""
    amounts = [item for item in start if isinstance(item, Amount)]
    lengths = {item.days for item in start if isinstance(item, Length)}
    if len(amounts) != 1 or lengths - {ladder.days}:
        raise UnclearError("a dose that changes by steps from an unknown one")
    first, by, to = amounts[0], ladder.by, ladder.to
    by_one = by.low if ladder.is_up else -by.low
    ends = (first.low, first.high, to.low, to.high)
    kinds = {first.kind, by.kind, to.kind}
    number = (to.low - first.low) / by_one
    is_whole = abs(number - round(number)) < 1e-6 and 1 <= round(number) < MOST_STEPS
    if len(kinds) > 1 or by.low != by.high or ends[0] != ends[1] or ends[2] != ends[3] or not is_whole:
        raise UnclearError("a dose that changes by steps which do not fit")
    length = Length(ladder.days)
    if not lengths:
        start.append(length)
    values = [first.low + step * by_one for step in range(1, round(number) + 1)]
    if to.low == 0:  # nothing is taken on the last rung
        values.pop()
    rungs: list[list[Item]] = [[replace(first, low=value, high=value), length] for value in values]
    if to.low > 0:
        rungs[-1].pop()
    return rungs


def _segment(items: Sequence[Item]) -> _Segment:
    lengths = {item.days for item in items if isinstance(item, Length)}
    stretches = [item for item in items if isinstance(item, Stretch)]
    if len(lengths) > 1 or len(stretches) > 1 or (lengths and stretches):
        raise UnclearError("several lengths of time")
    return _Segment(
        tuple(item for item in items if not isinstance(item, Length | Stretch)),
        lengths.pop() if lengths else None,
        stretches[0] if stretches else None,
    )


def _with_stretches(steps: tuple[Step, ...], segments: Sequence[_Segment], stops: bool) -> tuple[Step, ...]:
    """Steps under headings get their days; the headings must follow each other without a gap."""
    stretches = [segment.stretch for segment in segments if segment.stretch]
    if not stretches:
        return steps
    begins = [1]
    for at, segment in enumerate(segments):
        stretch = segment.stretch
        following = segments[at + 1].stretch if at + 1 < len(segments) else None
        if stretch is None and segment.days:
            stretch = Stretch(begins[-1], begins[-1] + segment.days - 1)
        if at == 0 and stretch is None and following:
            stretch = Stretch(1, following.first - 1)  # "25 mg daily; from week 2: 50 mg"
        if (
            (stretch and stretch.first != begins[-1])
            or begins[-1] < 0
            or (stretch is None and segment is not segments[-1])
        ):
            raise UnclearError("days that do not follow each other")
        begins.append(stretch.last + 1 if stretch and stretch.last else -1)
    timed = [
        replace(step, days=end - begin if end > 0 else step.days)
        for step, (begin, end) in zip(steps, pairwise(begins), strict=True)
    ]
    if not stops:
        timed[-1] = replace(timed[-1], days=segments[-1].days)
    return tuple(timed)


# --- what a step leaves unsaid --------------------------------------------------------------------------


def _inherited(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """A step takes over what it leaves unsaid: "1 tablet daily for 7 days, then 2"."""
    if len(steps) < 2 or any(len(step.parts) != 1 for step in steps):
        return steps
    amount: Amount | None = None
    rate = next((step.parts[0].rate for step in steps if step.parts[0].rate), None)
    complete: list[Step] = []
    for step in steps:
        (part,) = step.parts
        amount = _with_unit_of(amount, part.amount) if part.amount else amount
        rate = part.rate or rate
        complete.append(replace(step, parts=(Part(amount, rate),)))
    return tuple(complete)


def _with_unit_of(earlier: Amount | None, amount: Amount) -> Amount:
    """An amount with the unit, and the strength of a piece, that the step before it told."""
    if earlier is None:
        return amount
    if amount.is_bare:
        if earlier.kind is UnitKind.MASS and amount.low <= MOST_BARE_PIECES:
            raise UnclearError("a number that can be mg or pieces")
        return replace(amount, kind=earlier.kind, mg_each=_mg_of_one(earlier), is_bare=False)
    each = _mg_of_one(earlier)
    if amount.kind is not earlier.kind or each is None or amount.mg_each is not None:
        return amount
    fits = amount.mg_beside is None or is_same(amount.mg_beside, amount.high * each)
    return replace(amount, mg_each=each) if fits else amount


def _mg_of_one(amount: Amount) -> float | None:
    """mg in one piece as the text tells: by its strength, or by the mg that stand beside a single piece."""
    if amount.mg_each is None and amount.low == amount.high == 1:
        return amount.mg_beside
    return amount.mg_each
