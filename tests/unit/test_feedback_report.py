"""What `trd-cds feedback` prints and deletes, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner

from cds_service import cli
from cds_service.errors import SettingsError
from cds_service.feedback.body import ACCEPTED
from cds_service.feedback.report import as_csv, as_table, build_report
from cds_service.store.engine import open_store
from cds_service.store.tables import ACCEPTED as ACCEPTED_SUGGESTIONS
from cds_service.store.tables import CARDS, FEEDBACK
from tests.unit.test_feedback_memory import CHART, START, Clinic, an_answer

EXPECTED = """\
month,service,card,reason,fired,accepted,overridden
2026-06,trd-patient-view,(not known),already-referred,0,0,1
2026-06,trd-patient-view,met,,4,1,1
2026-06,trd-patient-view,met,not-mdd,0,0,1
2026-06,trd-patient-view,safety-acute,,1,0,0
2026-07,trd-encounter-start,indeterminate,,1,0,0
2026-07,trd-encounter-start,indeterminate,not-now,0,0,1"""


@pytest.fixture
def clinic(store_url: str) -> Iterator[Clinic]:
    """Six cards of five patients, the last one on 1 July at the start of an encounter; some are answered."""
    clinic = Clinic(open_store(store_url))
    at_encounter = replace(CHART, service="trd-encounter-start", patient_id="p5")
    shown = [clinic.open("met", 0, replace(CHART, patient_id=f"p{number}"))[0] for number in range(3)]
    clinic.open("suicidal", 0, replace(CHART, patient_id="p4"))
    accepted, overridden, changed_mind = shown
    uuids = [str(suggestion.uuid) for suggestion in accepted.suggestions]
    clinic.answer(accepted, ACCEPTED, accepted=(uuids[0], "not offered"))
    clinic.answer(overridden, comment="marker-comment-61")
    clinic.answer(changed_mind, ACCEPTED, accepted=(str(changed_mind.suggestions[1].uuid),))
    clinic.answer(changed_mind, day=2, reason="not-mdd")
    clinic.answer(str(uuid4()), reason="already-referred")
    (late,) = clinic.open("missing score", 1, at_encounter)
    clinic.now = START + timedelta(40)
    clinic.keep(an_answer(late, reason="not-now", at=clinic.now), service="trd-encounter-start")
    yield clinic
    clinic.store.engine.dispose()


def test_each_card_is_counted_once_by_its_last_answer_in_the_month_it_was_fired(clinic: Clinic) -> None:
    assert as_csv(build_report(clinic.store)) == EXPECTED


def test_each_column_sums_up(clinic: Clinic) -> None:
    lines = list(csv.DictReader(as_csv(build_report(clinic.store)).splitlines()))
    sums = {name: sum(int(line[name]) for line in lines) for name in ("fired", "accepted", "overridden")}
    assert sums == {"fired": 6, "accepted": 1, "overridden": 4}


@pytest.mark.parametrize(
    ("since", "until", "lines"),
    [
        (date(2026, 7, 1), None, [0, 5, 6]),
        (None, date(2026, 6, 30), [0, 1, 2, 3, 4]),
        (date(2026, 6, 30), date(2026, 6, 30), [0, 1, 2, 3, 4]),
        (date(2026, 7, 2), None, [0]),
    ],
)
def test_a_time_from_a_day_to_a_day(
    clinic: Clinic, since: date | None, until: date | None, lines: list[int]
) -> None:
    expected = [EXPECTED.splitlines()[number] for number in lines]
    assert as_csv(build_report(clinic.store, since, until)).splitlines() == expected


@pytest.mark.usefixtures("clinic")
def test_suggestions_are_counted_by_what_they_offer(store_url: str) -> None:
    found = json.loads(run("report", "--format", "json", "--store-url", store_url))
    by_name = {line["suggestion"]: (line["offered"], line["accepted"]) for line in found["suggestions"]}
    assert by_name["treatment-history"] == (5, 1)
    assert by_name["psychiatry-referral"] == (4, 1)
    assert by_name["crisis-plan"] == (1, 0)
    assert found["cards"][1]["fired"] == 4


@pytest.mark.usefixtures("clinic")
def test_the_command_prints_a_table_or_csv(store_url: str) -> None:
    assert run("report", "--format", "csv", "--store-url", store_url) == EXPECTED + "\n"
    table = run("report", "--store-url", store_url)
    assert (
        "2026-06  trd-patient-view     met            not-mdd               0         0           1" in table
    )
    assert "psychiatry-referral        4         1" in table
    assert "marker" not in table


@pytest.mark.parametrize("command", [("report",), ("delete", "--before", "2026-07-01")])
def test_a_store_that_is_not_there_is_told_and_not_made(tmp_path: Path, command: tuple[str, ...]) -> None:
    file = tmp_path / "folder" / "misspelt.sqlite3"
    with pytest.raises(SettingsError, match=r"misspelt\.sqlite3: there is no such file"):
        run(*command, "--store-url", f"sqlite:///{file}")
    assert not file.parent.exists()


def test_an_empty_store_says_so(store_url: str) -> None:
    open_store(store_url)
    assert run("report", "--store-url", store_url).startswith("No card was fired")
    assert run("report", "--store-url", store_url, "--format", "csv") == EXPECTED.splitlines()[0] + "\n"


@pytest.mark.usefixtures("clinic")
def test_the_store_of_the_settings_is_reported(store_url: str) -> None:
    assert run("report", "--format", "csv", env={"TRD_CDS_STORE_URL": store_url}) == EXPECTED + "\n"


@pytest.mark.parametrize("reason", ["=1+1", "@x", "-1", "a\nb", 'a",b'])
def test_a_reason_is_no_formula_and_breaks_no_line(store_url: str, reason: str) -> None:
    clinic = Clinic(open_store(store_url))
    clinic.answer("a card", reason=reason)
    (line,) = csv.DictReader(iter(as_csv(build_report(clinic.store)).splitlines(keepends=True)))
    assert line["reason"] == (f"'{reason}" if reason[0] in "=@-" else reason)
    assert len(as_table(build_report(clinic.store)).splitlines()) == 2


def test_deleting_forgets_cards_and_their_answers(clinic: Clinic, store_url: str) -> None:
    assert (
        run("delete", "--before", "2026-07-01", "--store-url", store_url) == "5 cards and 5 answers deleted\n"
    )
    assert len(clinic.rows(CARDS)) == 1
    assert [row["reason_code"] for row in clinic.rows(FEEDBACK)] == ["not-now"]
    assert clinic.rows(ACCEPTED_SUGGESTIONS) == []


def run(*arguments: str, env: dict[str, str] | None = None) -> str:
    result: Any = CliRunner().invoke(cli.commands, ["feedback", *arguments], env=env, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return str(result.stdout)
