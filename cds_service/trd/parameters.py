"""A definition of treatment-resistant depression, one of many, as parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from cds_service.trd.record import ProcedureKind


class Rule(Enum):
    """By what a definition decides."""

    FAILED_TRIALS = "failed-trials"  # distinct adequate trials without enough response
    TREATMENTS = "treatments"  # distinct treatments, whatever their dose and effect (registers, claims)
    SCORE = "score"  # a staging score reaches a threshold


class WindowEnd(Enum):
    """Where the window of a treatment rule is anchored."""

    TODAY = "today"  # the window ends today
    LAST_START = "last-start"  # it ends on the day the last of the treatments started
    FIRST_START = "first-start"  # it begins on the day the first of all treatments started


@dataclass(frozen=True)
class TreatmentRule:
    """How a register or claims definition counts treatments. Nothing of dose or effect is asked.

    `needed` distinct agents, each with a run of at least `minimum_days`, within `window_days`. `add_ons` are
    agents or classes of augmenting agents that count as well: as one of `needed`, or, where
    `antidepressants_beside_add_on` is set, beside so many antidepressants in the window they are enough.
    `procedures_count` are the kinds of procedure that count as a treatment. `needs_depression` asks for a
    depressive disorder on record.
    """

    needed: int
    minimum_days: int
    window_days: int
    window_end: WindowEnd
    add_ons: tuple[str, ...] = ()
    antidepressants_beside_add_on: int | None = None
    procedures_count: tuple[ProcedureKind, ...] = ()
    needs_depression: bool = False


@dataclass(frozen=True)
class StagingRule:
    """A staging method as its table says: `points` are (item, level, points), `bands` (from, to, name).

    A definition with the rule `score` is met when the sum reaches `met_from`; None for methods without one.
    """

    method: str
    points: tuple[tuple[str, str, float], ...] = ()
    bands: tuple[tuple[float, float, str], ...] = ()
    met_from: float | None = None

    @cached_property
    def items(self) -> frozenset[str]:
        """What points are given for."""
        return frozenset(item for item, _, _ in self.points)

    @cached_property
    def levels(self) -> Mapping[str, tuple[tuple[str, float], ...]]:
        """The levels of each item with their points, in the order of the table."""
        return {
            item: tuple((level, points) for i, level, points in self.points if i == item)
            for item in self.items
        }


@dataclass(frozen=True)
class Parameter:
    """One parameter of a definition in words, and who set it: `source` or `project`; `why` cites or explains."""

    name: str
    value: str
    set_by: str
    why: str = ""


class Distinctness(Enum):
    """What makes two failed trials count as two."""

    AGENT = "agent"
    CLASS = "class"
    MECHANISM = "mechanism"


@dataclass(frozen=True)
class Definition:
    """One definition as parameters. `filled` names those the project chose because the source is silent.

    `exclusions` are categories of diagnoses; those also in `passing_exclusions` exclude only while they
    are current, the others for life.
    Score windows: the baseline is the last score from `baseline_days_before` days before to
    `baseline_days_after` days after the first adequate day; the last score lies between day
    `last_score_from_day` of the trial (the first adequate day is day 1) and `last_score_days_after`
    days after its last.
    `minimum_pdc` is the share of a trial's days, 0 to 1, that dispensings must cover where there are any.
    `is_current_episode_only` leaves out trials of episodes that ended. The four `..._counts` tell whether such
    a treatment may be a failed trial of its own. `minimum_age_years` is None where any age counts.
    `content_hash` changes whenever anything of the entry does. `treatments` belongs to the rule of that name,
    `staging` to definitions that are staging methods.
    """

    id: str
    version: str
    title: str
    needed_failed_trials: int
    distinctness: Distinctness
    minimum_days: int
    dose_column: str
    nonresponse_below_percent: float
    response_from_percent: float
    partial_response_from_percent: float
    intolerance_counts_as_failure: bool
    max_gap_days: int
    lookback_days: int
    exclusions: tuple[str, ...]
    passing_exclusions: tuple[str, ...]
    minimum_age_years: int | None
    baseline_days_before: int
    baseline_days_after: int
    last_score_from_day: int
    last_score_days_after: int
    remission_confirmed_days: int
    minimum_pdc: float
    suicidality_window_days: int
    suicidality_acute_days: int
    cross_taper_days: int
    filled: tuple[tuple[str, str], ...] = ()
    source: str = ""
    source_status: str = ""
    notes: str = ""
    kind: str = "binary"
    rule: Rule = Rule.FAILED_TRIALS
    is_current_episode_only: bool = True
    augmentation_counts: bool = False
    combination_counts: bool = False
    psychotherapy_counts: bool = False
    neuromodulation_counts: bool = False
    treatments: TreatmentRule | None = None
    staging: StagingRule | None = None
    parameters: tuple[Parameter, ...] = ()
    content_hash: str = ""

    @cached_property
    def trial_rules(self) -> tuple[object, ...]:
        """All that decides how a trial and its outcome are judged; equal for definitions that agree there."""
        return (
            self.minimum_days,
            self.dose_column,
            self.max_gap_days,
            self.nonresponse_below_percent,
            self.response_from_percent,
            self.partial_response_from_percent,
            self.intolerance_counts_as_failure,
            self.baseline_days_before,
            self.baseline_days_after,
            self.last_score_from_day,
            self.last_score_days_after,
            self.minimum_pdc,
            self.augmentation_counts,
            self.combination_counts,
            self.psychotherapy_counts,
            self.neuromodulation_counts,
            self.cross_taper_days,
        )

    @cached_property
    def outcomes_alike(self) -> str:
        """The `trial_rules` as text, which is looked up faster: each patient is judged by many definitions."""
        return repr(self.trial_rules)

    @cached_property
    def failures_alike(self) -> str:
        """The same for all that decides whether a trial failed: also what makes it one of the current episode."""
        scope = (self.remission_confirmed_days, self.lookback_days, self.is_current_episode_only)
        return f"{self.trial_rules} {scope}"
