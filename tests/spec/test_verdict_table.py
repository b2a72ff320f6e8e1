"""The verdict for every combination of the four criteria, written out: 81 cells."""

from __future__ import annotations

from itertools import product

import pytest

from cds_service.trd.answers import Answer
from cds_service.trd.definitions import verdict_of
from cds_service.trd.model import Verdict

M, U, N = Answer.MET, Answer.UNKNOWN, Answer.NOT_MET
LETTERS = {"m": Answer.MET, "u": Answer.UNKNOWN, "n": Answer.NOT_MET}
VERDICTS = {
    "+": Verdict.MET,
    "-": Verdict.NOT_MET,
    "?": Verdict.INDETERMINATE,
    "x": Verdict.EXCLUDED,
}

# Rows: failed trials, diagnosis. Columns: no exclusion, age; m met, u unknown, n not met.
TABLE = """
        mm mu mn um uu un nm nu nn
    mm  +  ?  x  ?  ?  x  x  x  x
    mu  ?  ?  x  ?  ?  x  x  x  x
    mn  ?  ?  x  ?  ?  x  x  x  x
    um  ?  ?  x  ?  ?  x  x  x  x
    uu  ?  ?  x  ?  ?  x  x  x  x
    un  ?  ?  x  ?  ?  x  x  x  x
    nm  -  -  x  -  -  x  x  x  x
    nu  -  -  x  -  -  x  x  x  x
    nn  -  -  x  -  -  x  x  x  x
"""


def _cells() -> list[tuple[tuple[Answer, ...], Verdict]]:
    head, *lines = [line.split() for line in TABLE.strip().splitlines()]
    return [
        (tuple(LETTERS[letter] for letter in row + column), VERDICTS[mark])
        for row, *marks in lines
        for column, mark in zip(head, marks, strict=True)
    ]


@pytest.mark.parametrize(("answers", "verdict"), _cells())
def test_every_cell(answers: tuple[Answer, Answer, Answer, Answer], verdict: Verdict) -> None:
    assert verdict_of(*answers) is verdict


def test_no_cell_is_left_out() -> None:
    assert {answers for answers, _ in _cells()} == set(product((M, U, N), repeat=4))
