"""The nouns of the rules, and how three-valued answers combine.

    Prescription   one MedicationRequest, normalised: which drug, how much on which days, for what;
                   a dispensing, a statement or an administration that no order covers is read as one too
    Exposure       continuous use of one drug, with dose segments
    Trial          an exposure judged as an attempt at treatment: adequate dose, long enough
    Outcome        what happened to symptoms during a trial
    Assessment     the verdict under one definition, with every reason
    Definition     one of the many definitions of treatment-resistant depression, as parameters

Days are `datetime.date`; `first_day` and `last_day` are both included. Doses are mg per day of the
ingredient that the minimum dose is stated for. `evidence` holds FHIR references such as
`MedicationRequest/7`. Nothing here knows FHIR, JSON, a clock or a file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from functools import cached_property


class Answer(Enum):
    """A three-valued answer. `UNKNOWN` never turns into `NOT_MET` for want of data."""

    MET = "met"
    NOT_MET = "not-met"
    UNKNOWN = "unknown"

    def __invert__(self) -> Answer:
        if self is Answer.UNKNOWN:
            return self
        return Answer.NOT_MET if self is Answer.MET else Answer.MET


def all_of(answers: Iterable[Answer]) -> Answer:
    """Kleene's "and": one `NOT_MET` decides; otherwise one `UNKNOWN` leaves it open; empty is `MET`."""
    combined = Answer.MET
    for answer in answers:
        if answer is Answer.NOT_MET:
            return answer
        if answer is Answer.UNKNOWN:
            combined = answer
    return combined


def any_of(answers: Iterable[Answer]) -> Answer:
    """Kleene's "or": one `MET` decides; otherwise one `UNKNOWN` leaves it open; empty is `NOT_MET`."""
    return ~all_of(~answer for answer in answers)


@dataclass(frozen=True)
class Finding:
    """The answer to one named question, with its reason in words and the FHIR references it rests on."""

    criterion: str
    answer: Answer
    text: str
    evidence: tuple[str, ...] = ()


# --- what a table row or a FHIR resource says --------------------------------------------------------


@dataclass(frozen=True)
class Drug:
    """One antidepressant, as its row in `tables/antidepressants.csv` says.

    `ingredient` is the name on the order (a fixed combination keeps its own name); `agent` is what it
    counts as when agents are told apart (olanzapine with fluoxetine is a fluoxetine trial).
    `minimum_mg` maps a dose column (`lenient`, `default`, `strict`) to mg per day; a column that is
    missing is unknown. `minimum_source` is the citation behind these figures. `non_trial_rule` tells in
    words which uses of the drug are no treatment of depression (low doses for sleep, for pain).
    """

    ingredient: str
    agent: str
    rxcui: str | None
    drug_class: str
    mechanism: str
    minimum_mg: dict[str, float] = field(default_factory=dict, hash=False)
    minimum_source: str = ""
    non_trial_rule: str = ""


class StopReason(Enum):
    """Why an order ended, from `MedicationRequest.statusReason`."""

    NONE_GIVEN = "none given"
    INEFFICACY = "inefficacy"
    INTOLERANCE = "intolerance"
    OTHER = "other"


@dataclass(frozen=True)
class DoseSegment:
    """Days on one dose. `low_mg` and `high_mg` are mg per day; both None when the dose is unknown.

    A range whose ends differ ("1-2 tablets") keeps both ends; a known low end with no high end means "at
    least". `days_certain` is False for days on
    which the drug may or may not have been taken (an order that stopped on an unrecorded day).
    """

    first_day: date
    last_day: date
    low_mg: float | None
    high_mg: float | None
    days_certain: bool = True


class Source(Enum):
    """What tells of the use of a drug, in order of preference: where several speak of one day, the first decides."""

    ORDERED = "ordered"  # MedicationRequest
    DISPENSED = "dispensed"  # MedicationDispense
    ADMINISTERED = "administered"  # MedicationAdministration
    STATED = "stated"  # MedicationStatement


@dataclass(frozen=True)
class Supply:
    """Days that a dispensing covers, both ends included. An early refill begins when the last ran out.

    `is_dispensed` is False for days on which the drug was given or said to be taken; `is_sure` is False for a
    dispensing that may be another one recorded twice, and for days that are only stated.
    """

    first_day: date
    last_day: date
    reference: str
    is_sure: bool = True
    is_dispensed: bool = True


@dataclass(frozen=True)
class Prescription:
    """One order of an antidepressant, or of a drug that could be one.

    `drug` is None when it cannot be told which drug it is; `name` is then how the order calls it.
    `treats_depression` answers whether this use can form a trial at all: as-needed orders, orders for
    another indication and products that are never a trial are `NOT_MET`, with the reason in its text.
    `dose_text` and `days_text` show the arithmetic and what the dates rest on.

    `fulfils` names the orders that a dispensing (or the like) is of. `is_denial` tells that a statement
    says the drug was not taken on these days. `has_derived_dose` marks a dose worked out from quantity and
    days of supply, which packs make a little larger or smaller than the dose taken. `supported_by` are the
    records of other sources that speak of the same days, `supplies` all that was dispensed of the drug; both
    are the work of `trd.sources`. `total_mg` is all that was dispensed, where it is not told for how many days.
    `unit_mg_per_day` is the dose if one unit a day were taken, for records that say nothing of the dose;
    `assumed` says what the dose rests on that no record says. `stated_end` is a day
    after which the record itself says it was over; `has_stated_use` tells that it says to treat depression.
    `named_by` is the address of the terminology service that says which drug it is; empty when the record and
    our tables tell.
    """

    reference: str
    drug: Drug | None
    name: str
    segments: tuple[DoseSegment, ...]
    treats_depression: Finding
    stop_reason: StopReason = StopReason.NONE_GIVEN
    stop_text: str = ""
    dose_text: str = ""
    days_text: str = ""
    authored: date | None = None
    source: Source = Source.ORDERED
    fulfils: tuple[str, ...] = ()
    is_denial: bool = False
    has_derived_dose: bool = False
    supported_by: tuple[str, ...] = ()
    supplies: tuple[Supply, ...] = ()
    total_mg: float | None = None
    unit_mg_per_day: float | None = None
    stated_end: date | None = None
    has_stated_use: bool = False
    assumed: str = ""
    named_by: str = ""

    @property
    def agent(self) -> str:
        """What it counts as when agents are told apart; a drug that is not identified by its name."""
        return self.drug.agent if self.drug else f"unidentified: {self.name}"

    @property
    def references(self) -> tuple[str, ...]:
        """The record itself and those that speak of the same days."""
        return (self.reference, *self.supported_by)


@dataclass(frozen=True)
class Scale:
    """One rating scale. `remission_at_most` is the highest total that still is remission, None if unknown.

    `has_percent_rule` is False for scales whose improvement is not read as a percentage of baseline;
    those never decide an outcome. `rank` orders scales when several cover one trial: lowest first.
    """

    name: str
    minimum: float
    maximum: float
    remission_at_most: float | None
    has_percent_rule: bool
    rank: int


@dataclass(frozen=True)
class Score:
    """The total of one depression scale on one day."""

    scale: Scale
    day: date
    value: float
    reference: str


@dataclass(frozen=True)
class UnreadScore:
    """A result that exists but whose value, date or scale could not be read.

    It may have fallen on any day from `first_day` to `last_day`; None on either side means no bound.
    `scale` is None when it could belong to any scale.
    """

    reference: str
    scale: Scale | None
    first_day: date | None
    last_day: date | None


class DiagnosisRole(Enum):
    """What a diagnosis means to the rules; the `role` column of `tables/conditions.csv`."""

    DEPRESSION = "depression"  # a depressive disorder that a definition is about
    FULL_REMISSION = "full remission"  # the depressive episode is over
    EXCLUSION = "exclusion"  # e.g. bipolar disorder
    SUICIDALITY = "suicidality"
    ALREADY_LABELLED = "already labelled treatment-resistant"
    CONFOUNDER = "confounder"


@dataclass(frozen=True)
class Diagnosis:
    """One Condition with a role.

    `category` names the group (`bipolar`, `mdd`, ...), `recorded` the day it was first known (None if
    no date), `ended` the day it abated. `holds` answers whether the person has it: `NOT_MET` when
    refuted, `UNKNOWN` when only suspected or when its state could not be read.
    """

    role: DiagnosisRole
    category: str
    text: str
    holds: Answer
    recorded: date | None
    ended: date | None
    reference: str
    is_current: Answer = Answer.MET


@dataclass(frozen=True)
class SuicideItem:
    """The answer to the item on thoughts of death or self-harm (PHQ-9 item 9, 0-3, and its like)."""

    scale_name: str
    day: date | None
    value: float | None
    reference: str
    first_possible_day: date | None = None
    last_possible_day: date | None = None


class Topic(Enum):
    """Which question a resource that could not be read might have changed."""

    DRUG = "drug"
    DRUGS = "drugs"  # any number of them: a whole search
    FILLS = "fills"  # what was dispensed, so also what was not
    SCORE = "score"
    DIAGNOSIS = "diagnosis"
    AGE = "age"
    SAFETY = "safety"
    NONE = "none"


@dataclass(frozen=True)
class Unread:
    """A resource that was there but could not be used, why, and which answers it might have changed."""

    reference: str
    problem: str
    topics: tuple[Topic, ...] = ()


@dataclass(frozen=True)
class History:
    """All that the rules know of one patient.

    `born_earliest` and `born_latest` bound the birth date (they differ for `1980`); both None when
    unknown. `set_aside` lists orders that were understood and do not count (entered in error, a
    proposal, ...), each with its reason; they change nothing. `not_looked_at` names sources that could be
    read and were not to be had (`dispenses`, `statements`, `administrations`).
    """

    patient: str
    prescriptions: tuple[Prescription, ...] = ()
    scores: tuple[Score, ...] = ()
    unread_scores: tuple[UnreadScore, ...] = ()
    suicide_items: tuple[SuicideItem, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    born_earliest: date | None = None
    born_latest: date | None = None
    unread: tuple[Unread, ...] = ()
    set_aside: tuple[Unread, ...] = ()
    not_looked_at: tuple[str, ...] = ()

    @cached_property
    def score_series(self) -> tuple[tuple[Score, ...], ...]:
        """The scores of each scale in order of their day; the scales in order of their rank."""
        by_scale: dict[str, list[Score]] = defaultdict(list)
        for score in sorted(self.scores, key=lambda score: (score.day, score.reference)):
            by_scale[score.scale.name].append(score)
        series = sorted(by_scale.values(), key=lambda of_one: (of_one[0].scale.rank, of_one[0].scale.name))
        return tuple(map(tuple, series))


# --- a definition of treatment-resistant depression ---------------------------------------------------


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
    minimum_age_years: int
    baseline_days_before: int
    baseline_days_after: int
    last_score_from_day: int
    last_score_days_after: int
    remission_confirmed_days: int
    minimum_pdc: float
    suicidality_window_days: int
    suicidality_acute_days: int
    filled: tuple[tuple[str, str], ...] = ()
    source: str = ""
    source_status: str = ""
    notes: str = ""

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
        )


# --- what the rules conclude --------------------------------------------------------------------------


@dataclass(frozen=True)
class Exposure:
    """Continuous use of one drug: prescriptions with no more than the allowed gap between them.

    `segments` are in order, do not overlap, and carry the dose that is certain (`low_mg`) and the
    most that is possible (`high_mg`) on those days.
    """

    drug: Drug | None
    name: str
    segments: tuple[DoseSegment, ...]
    prescriptions: tuple[Prescription, ...]

    @property
    def first_day(self) -> date:
        return self.segments[0].first_day

    @property
    def last_day(self) -> date:
        return self.segments[-1].last_day

    @cached_property
    def evidence(self) -> tuple[str, ...]:
        references = (reference for order in self.prescriptions for reference in order.references)
        return tuple(dict.fromkeys(references))

    @cached_property
    def assumed(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(order.assumed for order in self.prescriptions if order.assumed))

    @cached_property
    def named_by(self) -> tuple[str, ...]:
        """The terminology services that named the drug of one or more of the orders."""
        return tuple(sorted({order.named_by for order in self.prescriptions if order.named_by}))


@dataclass(frozen=True)
class Trial:
    """An exposure, judged: was the dose adequate, for long enough, and did this use treat depression?

    `first_day` and `last_day` are the first and last adequate day, None when no day was. Days of a
    bridged gap are not counted in `adequate_days`. `is_running` tells that the exposure goes on
    today; `long_enough_on` is the day such a trial will be long enough, None when it is or is over.
    """

    exposure: Exposure
    first_day: date | None
    last_day: date | None
    adequate_days: int
    minimum_mg: float | None
    max_mg: float | None
    dose: Finding
    duration: Finding
    use: Finding
    adherence: Finding
    stop_reason: StopReason
    is_running: bool = False
    long_enough_on: date | None = None
    possible_first_day: date | None = None
    possible_last_day: date | None = None

    @property
    def name(self) -> str:
        return self.exposure.name

    @property
    def drug(self) -> Drug | None:
        return self.exposure.drug

    @property
    def assumed(self) -> tuple[str, ...]:
        """What its dose rests on that no record says, if the site chose to assume it."""
        return self.exposure.assumed

    @property
    def is_adequate(self) -> Answer:
        return all_of(finding.answer for finding in self.criteria)

    @property
    def criteria(self) -> tuple[Finding, ...]:
        """What makes an adequate trial. Adherence is one of them only where dispensings tell of it."""
        known = (self.use, self.dose, self.duration)
        return (*known, self.adherence) if self.adherence.evidence else known


class Response(Enum):
    """What happened to symptoms during a trial."""

    NO_RESPONSE = "no-response"
    PARTIAL_RESPONSE = "partial-response"
    RESPONSE = "response"
    REMISSION = "remission"
    INTOLERANCE = "intolerance"
    ONGOING = "ongoing"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Outcome:
    """What a trial achieved. `improvement_percent` is (baseline - last) / baseline x 100.

    `insufficient` answers whether the response was insufficient under the definition.
    """

    trial: Trial
    response: Response
    insufficient: Finding
    baseline: Score | None = None
    last: Score | None = None
    improvement_percent: float | None = None


@dataclass(frozen=True)
class JudgedTrial:
    """A trial with its outcome and whether it counts as a failed one under the definition."""

    trial: Trial
    outcome: Outcome
    in_scope: Finding
    failed: Finding


class Verdict(Enum):
    MET = "met"
    NOT_MET = "not-met"
    INDETERMINATE = "indeterminate"
    EXCLUDED = "excluded"


@dataclass(frozen=True)
class Judgement:
    """The verdict under one definition and what it follows from.

    `failed_at_least` to `failed_at_most` is the range of failed trials that the record allows.
    """

    verdict: Verdict
    failed_at_least: int
    failed_at_most: int
    reasons: tuple[Finding, ...]
    trials: tuple[JudgedTrial, ...]


@dataclass(frozen=True)
class Missing:
    """One thing that, if recorded, would help to decide: what, why, and what to ask for."""

    what: str
    why: str
    ask: str


@dataclass(frozen=True)
class Assessment:
    """A judgement, with all that is said around it.

    `concerns_depression` is False for people with no sign of depression in the record: no card is due.
    `suicidality_is_acute` tells that the sign lies within the acute window of the definition.
    """

    patient: str
    on: date
    definition: Definition
    verdict: Verdict
    failed_at_least: int
    failed_at_most: int
    reasons: tuple[Finding, ...]
    trials: tuple[JudgedTrial, ...]
    missing: tuple[Missing, ...]
    unread: tuple[Unread, ...]
    set_aside: tuple[Unread, ...]
    safety: Finding
    suicidality_is_acute: bool = False
    concerns_depression: bool = True
    age_years: int | None = None
    other_verdicts: tuple[tuple[str, Verdict], ...] = ()
    not_looked_at: tuple[str, ...] = ()

    @property
    def assumed(self) -> tuple[str, ...]:
        """What any of the trials rests on that no record says."""
        return tuple(dict.fromkeys(text for judged in self.trials for text in judged.trial.assumed))
