"""How often, at what time of day, on which days and how long, in a dosage text.

Each rule looks at one place of the tokens and gives the items that it read there and how many tokens they
took; no tokens when it is not for it to say.
"""

from __future__ import annotations

from collections.abc import Iterable

from cds_service.fhir_reading.dose_items import (
    MOST_BARE_PIECES,
    NOT_HERE,
    Length,
    Mark,
    Moment,
    Read,
    SomeDays,
    Stretch,
    Times,
    Unclear,
)
from cds_service.fhir_reading.dose_numbers import number_at, range_at
from cds_service.fhir_reading.dose_words import Token, Tokens
from cds_service.tables.dosing import PhraseKind

HOW_OFTEN_IS_NOT_CLEAR = Unclear("how often is not clear")
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TO = ("-", "to", "through", "thru", "~", "bis", "a", "à", "au", "til", "till")
Interval = tuple[float, float, int]


# --- how often ------------------------------------------------------------------------------------------


def interval_at(tokens: Tokens, at: int) -> Interval:
    """ "daily", "a week", "every 6-8 hours", "/24 h", "every other day": shortest and longest in days."""
    token = tokens[at]
    if token.meaning(PhraseKind.EACH_DAY):
        return 1.0, 1.0, 1
    often = token.meaning(PhraseKind.TIMES_PER_DAY)
    if often and often.number < 1:
        return 1 / often.number, 1 / often.number, 1
    if not tokens.is_kind(at, PhraseKind.EVERY, PhraseKind.PER, PhraseKind.ARTICLE):
        return 0.0, 0.0, 0
    is_within = tokens.is_word(at, "in")  # "in 24 hours", unlike "in 2 weeks"
    at += 1
    begin = at + 1 if tokens.is_word(at, ".") else at
    low, high, used = _how_many(tokens, begin)
    days = tokens[begin + used].meaning(PhraseKind.DAYS)
    if days is None or low <= 0 or (is_within and not low * days.number == high * days.number == 1):
        return 0.0, 0.0, 0
    return low * days.number, high * days.number, begin - at + used + 2


def _how_many(tokens: Tokens, at: int) -> tuple[float, float, int]:
    """The number in "every 2-3 days", "every other day"; 1 in "every day"."""
    ordinal = tokens[at].meaning(PhraseKind.ORDINAL)
    if ordinal:
        return ordinal.number, ordinal.number, 1
    low, high, used = range_at(tokens, at)
    return (low, high, used) if used else (1.0, 1.0, 0)


def read_how_often(tokens: Tokens, at: int) -> Read:
    """ "twice daily", "3x/week", "every 12 hours", "bid", "every morning"."""
    for rule in (_several_times, _every_moment, _alternate_days, _once_in_an_interval, _phrase):
        items, used = rule(tokens, at)
        if used:
            return items, used
    return ((HOW_OFTEN_IS_NOT_CLEAR,), 1) if tokens.is_word(at, "every", "q") else NOT_HERE


def _several_times(tokens: Tokens, at: int) -> Read:
    occasions = tokens[at].meaning(PhraseKind.OCCASIONS)
    if occasions:
        return _occasions(tokens, at, occasions.number)
    begin = at + 1 if tokens.is_word(at, "x") else at
    low, high, used = range_at(tokens, begin)
    if not used or low <= 0:
        return NOT_HERE
    end = begin + used
    times = tokens[end].meaning(PhraseKind.TIMES) if begin == at else None
    has_times = times is not None
    days = interval_at(tokens, end + 1 if has_times else end)
    if times and times.slot == "daily" and not days[2]:  # "2 dd"
        return (_times(low, high, (1.0, 1.0, 0)),), used + 1
    if begin > at and tokens.is_kind(end, PhraseKind.DAYS):  # "x 7 d", "x 5 days/week"
        items, used = _days_of_a_week(tokens, begin)
        return (items, used + 1) if used else NOT_HERE
    if (has_times or begin > at) and days[2]:
        return (_times(low, high, days),), end + has_times + days[2] - at
    if begin > at and _are_a_day(tokens, at, end) and high <= MOST_BARE_PIECES:
        return (Times(low, high),), end - at
    if has_times and not tokens.is_word(end, "x"):
        return (HOW_OFTEN_IS_NOT_CLEAR,), used + 1
    return _days_of_a_week(tokens, at)


def _are_a_day(tokens: Tokens, at: int, end: int) -> bool:
    """The "x 2" of "1 tablett x 2", at the end of it: only in Scandinavian is that how often a day."""
    before = tokens[at - 1] if not tokens.is_word(at - 1, ".") else tokens[at - 2]
    return before.counts_pieces and PhraseKind.FOREIGN in before.kinds and tokens.is_word(end, *ENDS)


def _times(low: float, high: float, days: Interval) -> Times:
    return Times(low / days[1], high / days[0])


def _occasions(tokens: Tokens, at: int, number: float) -> Read:
    if tokens.is_kind(at + 1, PhraseKind.RANGE):
        return _once_or_more(tokens, at, number)
    days = interval_at(tokens, at + 1)
    if days[2]:
        return (_times(number, number, days),), 1 + days[2]
    moment = at + 1 if not tokens.is_kind(at + 1, PhraseKind.EVERY, PhraseKind.AT) else at + 2
    is_said = tokens.is_kind(moment, PhraseKind.MOMENT, PhraseKind.WEEKDAY) or tokens.is_kind(
        at - 1, PhraseKind.EACH_DAY, PhraseKind.MOMENT, PhraseKind.DAYS
    )
    if not is_said:
        return (Unclear(f'"{tokens[at].text}"'),), 1
    return (() if number == 1 else (Times(number, number),)), 1


def _once_or_more(tokens: Tokens, at: int, number: float) -> Read:
    """ "once or twice daily"."""
    other = tokens[at + 2].meaning(PhraseKind.OCCASIONS)
    often = tokens[at + 2].meaning(PhraseKind.TIMES_PER_DAY)
    days = interval_at(tokens, at + 3)
    if other and days[2] and number < other.number:
        return (_times(number, other.number, days),), 3 + days[2]
    if often and number < often.number:
        return (Times(number, often.number),), 3
    return (HOW_OFTEN_IS_NOT_CLEAR,), 1


def _days_of_a_week(tokens: Tokens, at: int) -> Read:
    """ "5 days a week", "3 nights per week"."""
    number, used = number_at(tokens, at)
    token = tokens[at + used]
    moment, day = token.meaning(PhraseKind.MOMENT), token.meaning(PhraseKind.DAYS)
    low, high, more = interval_at(tokens, at + used + 1)
    if not more or not low == high == 7 or not 1 <= number <= 7 or number != int(number):
        return NOT_HERE
    share = SomeDays(frozenset(), number / 7)
    if moment:
        return (Moment(moment.slot), share), used + 1 + more
    return ((share,), used + 1 + more) if day and day.number == 1 else NOT_HERE


def _every_moment(tokens: Tokens, at: int) -> Read:
    """ "every morning", "every other night", "each Monday"."""
    if not tokens.is_kind(at, PhraseKind.EVERY):
        return NOT_HERE
    clock = _clock(tokens, at)
    if clock[1]:
        return clock
    low, high, used = _how_many(tokens, at + 1)
    moment = tokens[at + 1 + used].meaning(PhraseKind.MOMENT)
    if moment and low >= 1:
        often = (Times(1 / high, 1 / low),) if used else ()
        return (Moment(moment.slot), *often), used + 2
    return ((), 1) if tokens.is_kind(at + 1, PhraseKind.WEEKDAY) else NOT_HERE


def _alternate_days(tokens: Tokens, at: int) -> Read:
    """ "on alternate days": the rate of one amount, or two amounts in turn."""
    return _phrase(tokens, at) if tokens.is_kind(at, PhraseKind.ALTERNATE) else NOT_HERE


def _once_in_an_interval(tokens: Tokens, at: int) -> Read:
    low, high, used = interval_at(tokens, at)
    if not used:
        return NOT_HERE
    is_hours = tokens[at + used - 1].text.startswith("h")
    return (Times(1 / high, 1 / low, is_weak=low == high == 1 and not is_hours),), used


def _phrase(tokens: Tokens, at: int) -> Read:
    often = tokens[at].meaning(PhraseKind.TIMES_PER_DAY)
    if often is None:
        return NOT_HERE
    is_joined = tokens.is_kind(at + 1, PhraseKind.RANGE) or tokens.is_word(at + 1, "/")
    other = tokens[at + 2].meaning(PhraseKind.TIMES_PER_DAY) if is_joined else None
    if other and often.number < other.number:  # "bd - tds"
        return (Times(often.number, other.number),), 3
    times = Times(often.number, often.number)
    return ((times, Mark.ALTERNATE) if tokens.is_kind(at, PhraseKind.ALTERNATE) else (times,)), 1


# --- time of day ----------------------------------------------------------------------------------------


def read_moment(tokens: Tokens, at: int) -> Read:
    """A time of day by name or by the clock."""
    items, used = _clock(tokens, at)
    if used:
        return items, used
    moment = tokens[at].meaning(PhraseKind.MOMENT)
    if moment:
        return (Moment(moment.slot),), 1
    return ((Moment("night"),), 1) if _is_night(tokens, at) else NOT_HERE


ENDS = (",", ".", ";", "\n", "(", ")", "/", "")


def _is_night(tokens: Tokens, at: int) -> bool:
    """ "20 mg on" (omni nocte), not the English word: behind an amount or route, and with nothing of its own."""
    if not tokens.is_kind(at, PhraseKind.NIGHT_OR_ON):
        return False
    if len(tokens) == 1:
        return True
    before, after = at - 1, at + 1
    numbers = (PhraseKind.NUMBER, PhraseKind.ROMAN)
    is_counted = tokens.is_kind(before - 1, *numbers) or tokens.is_word(before - 1, ")")
    has_amount = tokens[before].unit is not None and is_counted
    is_behind = has_amount or tokens.is_word(before, ")", ":", ",", "-")
    is_behind |= tokens.is_kind(before, *numbers, PhraseKind.AND, PhraseKind.HARMLESS)
    ends = tokens.is_word(after, *ENDS) or tokens.is_kind(
        after, PhraseKind.AND, PhraseKind.AS_NEEDED, PhraseKind.FOR, PhraseKind.THEN, PhraseKind.HARMLESS
    )
    return is_behind and ends


def _clock(tokens: Tokens, at: int) -> Read:
    """ "at 8 am", "08:00", "9pm", "0800 hrs", "at 20:00"."""
    is_each = tokens.is_word(at, "q", "every") and tokens.is_word(at + 2, "am", "pm")  # "q 2 pm"
    has_at = tokens.is_kind(at, PhraseKind.AT) or is_each
    begin = at + 1 if has_at else at
    if not tokens[begin].is_digits:
        return NOT_HERE
    hour, minute, used = _hour_and_minute(tokens, begin)
    if not used:
        return NOT_HERE
    half = tokens[begin + used].text.replace(" ", "")
    has_half = half in ("am", "pm") or (half == "noon" and hour == 12)
    has_hours = not has_half and tokens.is_word(begin + used, "h", "hrs", "hr", "hours", "o clock")
    is_four = used == 1 and len(tokens[begin].text) == 4
    is_clock = (
        used > 1
        or (
            is_four and (has_at or has_hours or tokens[begin].text[0] == "0" or _follows_clock(tokens, begin))
        )
        or (has_half and (has_at or hour >= 5 or _follows_half_day(tokens, begin)))
        or (has_at and not is_four and tokens[begin + used].unit is None and not has_hours)
    )
    if not is_clock and has_half and tokens[begin - 1].unit is not None:
        if not tokens.is_kind(begin - 2, PhraseKind.NUMBER) or not tokens[begin - 1].counts_pieces:
            return (Unclear("a number that can be a time of day or pieces"),), used + 1  # "10 mg 2 pm"
        is_clock = True  # "1 tab 2 pm"
    if not is_clock:
        return NOT_HERE
    if half == "pm" and hour < 12:
        hour += 12
    taken = begin + used + (has_half or (has_hours and used == 1)) - at
    named = _moment_beside(tokens, at, at + taken) if not has_half and hour <= 12 else ""
    if named:
        return (Moment(named),), taken
    return (Moment(_part_of_day(hour), f"{hour:02}{minute:02}"),), taken


def _moment_beside(tokens: Tokens, at: int, end: int) -> str:
    """The part of the day of a clock of twelve hours: "every evening at 6", "at 6 in the evening"."""
    after = end + 1 if tokens.is_kind(end, PhraseKind.EVERY, PhraseKind.AT) else end
    beside = (tokens[at - 1].meaning(PhraseKind.MOMENT), tokens[after].meaning(PhraseKind.MOMENT))
    return next((moment.slot for moment in beside if moment), "")


def _hour_and_minute(tokens: Tokens, at: int) -> tuple[int, int, int]:
    digits = tokens[at].text
    if (
        len(digits) <= 2
        and tokens.is_word(at + 1, ":")
        and tokens[at + 2].is_digits
        and not tokens[at + 3].unit
    ):
        hour, minute, used = digits, tokens[at + 2].text, 3
        if tokens.is_word(at + 3, ":") and len(tokens[at + 4].text) == 2 and tokens[at + 4].is_digits:
            used = 3 if tokens[at + 5].unit else 5
    elif len(digits) == 4 and digits.isdigit():
        hour, minute, used = digits[:2], digits[2:], 1
    else:
        hour, minute, used = digits, "00", 1
    is_time = (
        hour.isdigit() and len(minute) == 2 and minute.isdigit() and int(hour) <= 24 and int(minute) < 60
    )
    return (int(hour), int(minute), used) if is_time else (0, 0, 0)


def _follows_clock(tokens: Tokens, at: int) -> bool:
    """The 2000 in "0800 and 2000"."""
    before = tokens[at - 2].text
    joined = tokens.is_kind(at - 1, PhraseKind.AND) or tokens.is_word(at - 1, ",", "/")
    return joined and tokens[at - 2].is_digits and len(before) == 4


def _follows_half_day(tokens: Tokens, at: int) -> bool:
    """The 3 pm in "8 am and 3 pm"."""
    joined = tokens.is_kind(at - 1, PhraseKind.AND) or tokens.is_word(at - 1, ",", "/")
    hour = tokens[at - 3].meaning(PhraseKind.NUMBER)
    return joined and tokens.is_word(at - 2, "am", "pm") and hour is not None and hour.number >= 5


def _part_of_day(hour: int) -> str:
    names = ((4, "night"), (11, "morning"), (14, "noon"), (17, "afternoon"), (21, "evening"), (25, "night"))
    return next(name for end, name in names if hour < end)


# --- which days -----------------------------------------------------------------------------------------


def read_days(tokens: Tokens, at: int) -> Read:
    """ "Mon-Fri", "daily except Sunday", "on odd days", "other days"."""
    if tokens.is_kind(at, PhraseKind.EXCEPT):
        names, used = _weekdays(tokens, at + 1)
        return ((_on(set(WEEK) - names),), used + 1) if names and len(names) < 7 else NOT_HERE
    if tokens.is_kind(at, PhraseKind.OTHER_DAYS):
        return (Mark.OTHER_DAYS,), 1
    half = tokens[at].meaning(PhraseKind.HALF_OF_DAYS)
    if half and not tokens.is_kind(at - 1, PhraseKind.FOR, PhraseKind.AFTER):
        return (SomeDays(frozenset({half.slot}), 1 / 2),), 1
    names, used = _weekday_range(tokens, at)
    joint = tokens[at + used]
    is_told = not joint.text.isalpha() or tokens.is_kind(
        at + used, PhraseKind.AND, PhraseKind.WEEKDAY, PhraseKind.NUMBER
    )
    if used and not is_told and _names(tokens[at + used + 1]):
        return (Unclear("what a word between days of the week means"),), used
    return ((_on(names),), used) if used else NOT_HERE


def _on(names: Iterable[str]) -> SomeDays:
    names = frozenset(names)
    return SomeDays(names, len(names) / 7)


def _weekdays(tokens: Tokens, at: int) -> tuple[set[str], int]:
    """Days of the week in a row: "Saturdays and Sundays"."""
    names, used = _weekday_range(tokens, at)
    while used:
        joint = 1 if tokens.is_kind(at + used, PhraseKind.AND) or tokens.is_word(at + used, ",", "/") else 0
        more_names, more = _weekday_range(tokens, at + used + joint)
        if not more:
            break
        names, used = names | more_names, used + joint + more
    return names, used


def _weekday_range(tokens: Tokens, at: int) -> tuple[set[str], int]:
    names = _names(tokens[at])
    last = _names(tokens[at + 2]) if tokens.is_word(at + 1, *TO) else ()
    if len(names) == len(last) == 1:
        first, end = WEEK.index(names[0]), WEEK.index(last[0])
        return {WEEK[(first + day) % 7] for day in range((end - first) % 7 + 1)}, 3
    return set(names), 1 if names else 0


def _names(token: Token) -> tuple[str, ...]:
    weekday = token.meaning(PhraseKind.WEEKDAY)
    return tuple(weekday.slot.split()) if weekday else ()


# --- how long -------------------------------------------------------------------------------------------


def read_length(tokens: Tokens, at: int) -> Read:
    """ "for 2 weeks", "x7d", "for the first week", "2/52", "after 7 days"."""
    for rule in (_some_time, _unsaid_length):
        items, used = rule(tokens, at)
        if used:
            return items, used
    return NOT_HERE


def _some_time(tokens: Tokens, at: int) -> Read:
    if tokens.is_kind(at, PhraseKind.ABOUT):  # "at least 30 minutes before"
        items, used = _some_time(tokens, at + 1)
        return ((), used + 1) if used and not items else NOT_HERE
    is_after = tokens.is_kind(at, PhraseKind.AFTER)
    begin = at + 1 if is_after or tokens.is_kind(at, PhraseKind.FOR) else at
    begin += begin > at and tokens.is_word(begin, "the", "about", "another", "next")
    ordinal = tokens[begin].meaning(PhraseKind.ORDINAL) if begin > at else None
    is_named_first = ordinal is not None and ordinal.number == 1
    is_first = is_named_first or tokens.is_word(at, "after the first")
    begin += is_named_first
    low, high, used = _length_in_days(tokens, begin, begin > at, is_first)
    if not used:
        return NOT_HERE
    one = tokens[begin + used - 1].meaning(PhraseKind.DAYS)
    if one and one.number < 1:
        is_long = begin > at and high >= 1  # unlike "30 minutes before breakfast", "over 2 hours"
        return ((Unclear("a length in hours"),) if is_long else ()), begin + used - at
    end = begin + used
    if tokens.is_word(end, *NOT_HOW_LONG) or tokens.is_word(
        at - 1, "start", "starting", "begin", "beginning"
    ):
        return (Unclear("a length of time that is not that of the dose"),), end - at
    is_later = tokens.is_word(end, "later")
    is_exact = low == high and round(high) >= 1
    return (Length(round(high) if is_exact else None, is_after or is_later),), end + is_later - at


NOT_HOW_LONG = ("before", "prior", "ago", "apart", "old", "off", "between", "from")


def _length_in_days(tokens: Tokens, at: int, is_said: bool, is_first: bool) -> tuple[float, float, int]:
    """`is_said`: behind "for" or "after", where "a week" and "5/7" are lengths too."""
    fraction = {"7": 1, "52": 7, "12": 30}.get(tokens[at + 2].text, 0) if tokens[at].is_digits else 0
    number = int(tokens[at].text) if fraction and tokens[at].text.isdigit() else 0
    is_told = is_said or fraction == 7 or (fraction == 1 and number >= 7)  # "5/7" may be 5 days of 7
    is_behind = tokens.is_kind(at - 1, PhraseKind.TIMES_PER_DAY, PhraseKind.EACH_DAY, PhraseKind.MOMENT)
    if number and tokens.is_word(at + 1, "/") and (is_told or (fraction == 30 and is_behind)):
        days = float(number * fraction)
        return days, days if is_told else days + 1, 3  # "1 od 3/12" may be a date, so its length is not exact
    low, high, used = range_at(tokens, at)
    is_article = is_said and tokens.is_kind(at, PhraseKind.ARTICLE)
    if not used and (is_article or is_first):
        low, high, used = 1.0, 1.0, int(is_article)
    days_of_one = tokens[at + used].meaning(PhraseKind.DAYS)
    if not is_said and tokens.is_kind(at + used, PhraseKind.HALF_OF_DAYS):  # "1 one day, 2 the next"
        return 0.0, 0.0, 0
    if is_said and used and tokens.is_word(at + used, "night", "nights", "mornings", "evenings"):
        return low, high, used + 1
    if days_of_one is None or low <= 0 or not (used or is_first):
        return 0.0, 0.0, 0
    return low * days_of_one.number, high * days_of_one.number, used + 1


def _unsaid_length(tokens: Tokens, at: int) -> Read:
    """ "2 bid x1": a length of something that is not named."""
    used = number_at(tokens, at + 1)[1]
    is_behind_times = tokens.is_kind(at - 1, PhraseKind.TIMES_PER_DAY, PhraseKind.EACH_DAY, PhraseKind.MOMENT)
    if tokens.is_word(at, "x") and is_behind_times and used and tokens.is_word(at + 1 + used, *ENDS):
        return (Length(None),), used + 1
    return NOT_HERE


NAMED_DAYS = ("day", "days", "week", "weeks", "wk", "wks", "month", "months")


def read_heading(tokens: Tokens, at: int) -> Read:
    """ "week 1:", "days 8-14", "week 3 and after", "second week"."""
    ordinal = tokens[at].meaning(PhraseKind.ORDINAL)
    unit = tokens[at + 1 if ordinal else at]
    days = unit.meaning(PhraseKind.DAYS)
    if days is None or unit.text not in NAMED_DAYS or days.number < 1:
        return NOT_HERE
    if ordinal:
        if tokens.is_kind(at - 1, PhraseKind.FOR, PhraseKind.AFTER, PhraseKind.EVERY):
            return NOT_HERE
        first = last = ordinal.number
        end = at + 2
    else:
        first, last, used = _numbered(tokens, at + 1)
        if not used:
            return NOT_HERE
        end = at + 1 + used
    is_open = tokens.is_kind(end, PhraseKind.ONWARD) or tokens.is_word(end, "+")
    end += is_open
    end += tokens.is_word(end, ":")
    begin = int((first - 1) * days.number) + 1
    return (Stretch(begin, None if is_open else int(last * days.number)),), end - at


def _numbered(tokens: Tokens, at: int) -> tuple[float, float, int]:
    """The numbers of a heading: whole, and in order."""
    first = tokens[at].meaning(PhraseKind.NUMBER)
    if first is None or first.number < 1 or first.number != int(first.number):
        return 0.0, 0.0, 0
    last = tokens[at + 2].meaning(PhraseKind.NUMBER)
    is_range = tokens.is_word(at + 1, *TO, "&", "and") and tokens[at + 3].unit is None  # "week 1 - 25 mg"
    if is_range and last and last.number > first.number and last.number == int(last.number):
        return first.number, last.number, 3
    return first.number, first.number, 1


# --- dates ----------------------------------------------------------------------------------------------


def read_date(tokens: Tokens, at: int) -> Read:
    """ "starting Mon 1/5/2026", "until 3 March 2026": it may move the days, and says nothing of the dose."""
    begin = at
    told = tokens[at].meaning(PhraseKind.DATE_FOLLOWS)
    if told:
        begin += 1
        begin += tokens.is_word(begin, ":", "on", "date")
        begin += tokens.is_word(begin, ":")
    if tokens.is_kind(begin, PhraseKind.WEEKDAY):
        begin += 1
        begin += tokens.is_word(begin, ",")
    used = _date(tokens, begin)
    if not used:
        return NOT_HERE
    end = begin + used
    dates: tuple[Mark, ...] = () if told and told.slot else (Mark.DATE,)  # "last filled 1/5/2026"
    return dates, end + (_clock(tokens, end)[1] if tokens.is_kind(end, PhraseKind.AT) else 0) - at


def _date(tokens: Tokens, at: int) -> int:
    if tokens.is_kind(at, PhraseKind.DATE):
        return 1
    day_first = _day_of_month(tokens, at)
    month = at + day_first
    month += bool(day_first) and tokens.is_word(month, "-", "of", "th", "st", "nd", "rd")
    if not tokens.is_kind(month, PhraseKind.MONTH):
        return 0
    after = month + 1
    day_after = 0 if day_first or _year(tokens, after) else _day_of_month(tokens, after)
    after += day_after
    after += bool(day_after) and tokens.is_word(after, "th", "st", "nd", "rd")
    joint = 1 if tokens.is_word(after, ",", "-") else 0
    year = _year(tokens, after + joint)
    is_told = year or (tokens[month].text not in ("may", "mar", "march") and (day_first or day_after))
    return after + (joint + year if year else 0) - at if is_told else 0


def _day_of_month(tokens: Tokens, at: int) -> int:
    digits = tokens[at].text
    return int(tokens[at].is_digits and digits.isdigit() and 1 <= int(digits) <= 31)


def _year(tokens: Tokens, at: int) -> int:
    digits = tokens[at].text
    return int(tokens[at].is_digits and digits.isdigit() and 1900 <= int(digits) <= 2199)
