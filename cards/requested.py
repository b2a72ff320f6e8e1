"""What a card would suggest and is asked for already: left out of the suggestions, and said instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cards.markdown import escaped, sentence
from cards.words import load_words
from cds_service.trd.answers import Answer
from cds_service.trd.model import Assessment
from cds_service.trd.record import OpenRequest


@dataclass(frozen=True)
class Requested:
    """Of the suggestions of one card: the open request for each that has one, and those that may have one."""

    certain: dict[str, OpenRequest]
    possible: dict[str, OpenRequest]

    @property
    def lines(self) -> tuple[str, ...]:
        """What the card says of them, as Markdown."""
        words = load_words()
        told = ((words.already_requested, self.certain), (words.perhaps_requested, self.possible))
        return tuple(
            sentence(f"{title} {'; '.join(map(_in_words, requests.values()))}")
            for title, requests in told
            if requests
        )


def find_requested(names: Iterable[str], assessment: Assessment) -> Requested:
    """Which of the suggestions called `names` are asked for already, or may be, and lately enough to count.

    What is in doubt is suggested all the same.
    """
    certain: dict[str, OpenRequest] = {}
    possible: dict[str, OpenRequest] = {}
    for name in names:
        counting = [request for request in assessment.open_requests if _counts(request, name, assessment)]
        newest_first = sorted(counting, key=lambda request: request.written, reverse=True)
        sure = [request for request in newest_first if request.holds is Answer.MET]
        if sure:
            certain[name] = sure[0]
        elif newest_first:
            possible[name] = newest_first[0]
    return Requested(certain, possible)


def _counts(request: OpenRequest, name: str, assessment: Assessment) -> bool:
    """Whether it is one for this suggestion and not too old; of one without a day that is not known."""
    if request.request != name:
        return False
    days_ago = 0 if request.day is None else (assessment.on - request.day).days
    return days_ago <= load_words().requests[name].open_days


def _in_words(request: OpenRequest) -> str:
    """`referral to psychiatry (ServiceRequest/7, 2026-05-02, active)`"""
    parts = (request.reference, request.written or "no date", request.status)
    return f"{escaped(request.said, 80)} ({', '.join(escaped(part, 80) for part in parts)})"
