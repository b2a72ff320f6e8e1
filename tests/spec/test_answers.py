"""Three-valued answers: the full tables of "and", "or" and "not"."""

from __future__ import annotations

import pytest

from cds_service.trd.answers import Answer, all_of, any_of

M, N, U = Answer.MET, Answer.NOT_MET, Answer.UNKNOWN


@pytest.mark.parametrize(
    ("one", "other", "both", "either"),
    [
        (M, M, M, M),
        (M, N, N, M),
        (M, U, U, M),
        (N, M, N, M),
        (N, N, N, N),
        (N, U, N, U),
        (U, M, U, M),
        (U, N, N, U),
        (U, U, U, U),
    ],
)
def test_two_answers(one: Answer, other: Answer, both: Answer, either: Answer) -> None:
    assert all_of((one, other)) is both
    assert any_of((one, other)) is either


def test_no_answers_at_all() -> None:
    assert all_of(()) is M
    assert any_of(()) is N


def test_not() -> None:
    assert [~answer for answer in (M, N, U)] == [N, M, U]
