"""The complete workings of some patients, as pinned: every answer, text, number and piece of evidence.

A failure here is a change in what clinicians are told. Write the files anew with
`python -m tests.spec.write_workings`, and read the diff, line by line, before it is accepted.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec.write_workings import LINE, files, story, workings


@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_nothing_changes_unseen(path: Path) -> None:
    pinned = path.read_text("utf-8").partition(f"{LINE}\n")[2]
    assert workings(story(path)).splitlines() == pinned.splitlines()
