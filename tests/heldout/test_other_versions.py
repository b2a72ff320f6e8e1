"""The same patients, rewritten in another version of FHIR, get the same answers from the second opinion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.heldout.oracle import DEFINITIONS, verdict
from tests.heldout.test_heldout import (
    _adequate_runs,
    _adequate_trials,
    assessments,
    one_patient,
)
from tests.other_versions import as_dstu2, as_r5, as_stu3

Rewrite = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.mark.parametrize("rewrite", [as_r5, as_stu3, as_dstu2])
@pytest.mark.parametrize("seed", range(40))
def test_verdict_and_trials_are_those_of_the_story_in_every_version(seed: int, rewrite: Rewrite) -> None:
    story, bundle, spellings = one_patient(seed)
    found = assessments(_rewritten(bundle, rewrite), story.on)
    for id_, rules in DEFINITIONS.items():
        assert found[id_].verdict.value == verdict(story, rules), (id_, story, spellings)
        assert _adequate_trials(found[id_]) == _adequate_runs(story, rules), (id_, story, spellings)


def _rewritten(bundle: dict[str, Any], rewrite: Rewrite) -> dict[str, Any]:
    return bundle | {
        "entry": [
            entry | {"resource": rewrite(entry["resource"])} if "resource" in entry else entry
            for entry in bundle["entry"]
        ]
    }
