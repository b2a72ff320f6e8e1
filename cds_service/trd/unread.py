"""What was there and could not be read, by the question that it leaves open."""

from __future__ import annotations

from cds_service.trd.record import History, Topic, Unread


def unread_about(history: History, topic: Topic) -> list[Unread]:
    """The resources that could not be used and might have changed this question."""
    if not history.unread:  # of most patients everything is read, and many rules ask
        return []
    return [unread for unread in history.unread if topic in unread.topics]


def orders_not_read(history: History) -> set[str]:
    """Orders of which nothing could be used: each could be a treatment with any drug."""
    return _not_read(history, Topic.DRUG)


def add_ons_not_read(history: History) -> set[str]:
    """Orders of augmenting agents of which nothing could be used: each could be an augmentation."""
    return _not_read(history, Topic.ADD_ON)


def _not_read(history: History, topic: Topic) -> set[str]:
    not_used = {unread.reference for unread in unread_about(history, topic)}
    if not not_used:
        return not_used
    records = (*history.prescriptions, *history.add_ons)
    return not_used.difference(reference for record in records for reference in record.references)


def searches_not_read(history: History) -> set[str]:
    """Searches that failed or gave only a part: each could hide any number of treatments."""
    return {unread.reference for unread in unread_about(history, Topic.DRUGS)}
