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
class AddOn:
    """What makes an augmenting agent count, as its row in `tables/augmentation.csv` says.

    `minimum_days` is None where the table tells no length. `counts` is False for agents that are not counted
    as augmentation (stimulants, pindolol); `why_not` then says so. `source` is the citation of the length.
    A level in blood of at least `minimum_level`, measured under the LOINC code `level_code` in one of
    `level_units`, says more than the dose; None where the table has none.
    """

    minimum_days: int | None
    counts: bool = True
    why_not: str = ""
    source: str = ""
    level_code: str = ""
    minimum_level: float | None = None
    level_units: tuple[str, ...] = ()
    level_source: str = ""


@dataclass(frozen=True)
class Drug:
    """One antidepressant, as its row in `tables/antidepressants.csv` says, or one agent added to such.

    An agent of `tables/augmentation.csv` has `add_on`; its dose columns all hold the least dose that counts.

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
    add_on: AddOn | None = None


def agent_of(drug: Drug | None, name: str) -> str:
    """The agent of a drug; one that is not identified is told apart by its name, and never taken for another."""
    return drug.agent if drug else f"unidentified: {name}"


class StopReason(Enum):
    """Why an order ended, from `MedicationRequest.statusReason`."""

    NONE_GIVEN = "none given"
    INEFFICACY = "inefficacy"
    PARTIAL_RESPONSE = "partial response"  # too little effect for some definitions, enough for others
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
    PERFORMED = "performed"  # Procedure: no drug, and never weighed against one


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
        return agent_of(self.drug, self.name)

    @property
    def references(self) -> tuple[str, ...]:
        """The record itself and those that speak of the same days."""
        return (self.reference, *self.supported_by)


@dataclass(frozen=True)
class Scale:
    """One rating scale. `remission_at_most` is the highest total that still is remission, None if unknown.

    `has_percent_rule` is False for scales whose improvement is not read as a percentage of baseline;
    those never decide an outcome. `rank` orders scales when several cover one trial: lowest first.
    `bands` are the severity bands in order, each with the highest total in it and its name; empty if unknown.
    `bands_source` is their citation. Where authors differ, `other_bands` are those of another, and both are named.
    """

    name: str
    minimum: float
    maximum: float
    remission_at_most: float | None
    has_percent_rule: bool
    rank: int
    bands: tuple[tuple[float, str], ...] = ()
    bands_source: str = ""
    bands_author: str = ""
    other_bands: tuple[tuple[float, str], ...] = ()
    other_bands_author: str = ""


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
    PRECAUTION = "precaution"  # words that ask for care with a treatment; never certain


@dataclass(frozen=True)
class CheckFirst:
    """Why a diagnosis is to be checked before resistance is believed; its row in `tables/check_first.csv`."""

    name: str
    why: str
    source: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """One Condition with a role.

    `category` names the group (`bipolar`, `mdd`, ...), `recorded` the day it was first known (None if
    no date), `ended` the day it abated. `holds` answers whether the person has it: `NOT_MET` when
    refuted, `UNKNOWN` when only suspected or when its state could not be read. `severity` is `mild`,
    `moderate` or `severe`, empty when not told; `onset` is the day it began, where that is recorded exactly.
    `check_first` is None for diagnoses that are no confounder, or too common to be a hint.
    """

    role: DiagnosisRole
    category: str
    text: str
    holds: Answer
    recorded: date | None
    ended: date | None
    reference: str
    is_current: Answer = Answer.MET
    severity: str = ""
    onset: date | None = None
    check_first: CheckFirst | None = None


@dataclass(frozen=True)
class SuicideItem:
    """The answer to the item on thoughts of death or self-harm (PHQ-9 item 9, 0-3, and its like).

    An answer of the C-SSRS is one too: its level of ideation, or 1 for "yes". `instrument` is the same for all
    answers of one instrument, whatever they are called; empty means `scale_name`.
    """

    scale_name: str
    day: date | None
    value: float | None
    reference: str
    first_possible_day: date | None = None
    last_possible_day: date | None = None
    instrument: str = ""


class ProcedureKind(Enum):
    """What a Procedure means to the rules; the `kind` column of `tables/procedures.csv`."""

    ECT = "ECT"
    TMS = "TMS"
    VNS = "VNS"
    DBS = "DBS"
    PSYCHOTHERAPY = "psychotherapy"
    LIGHT_THERAPY = "light therapy"


@dataclass(frozen=True)
class Procedure:
    """One treatment that is no drug: a session, or a course from first to last day.

    `first_day` and `last_day` are None when not recorded to the day; `last_day` also while a course has no
    recorded end. `holds` is `UNKNOWN` when it may not have taken place (status or code in doubt), or a stimulator
    is recorded for something else; `NOT_MET` when any other treatment is recorded for something else than
    depression. `is_bilateral` is for ECT; mostly it is not recorded.
    """

    kind: ProcedureKind
    text: str
    first_day: date | None
    last_day: date | None
    holds: Answer
    reference: str
    is_bilateral: Answer = Answer.UNKNOWN

    @property
    def days(self) -> tuple[date, date] | None:
        """First and last day; of one of them alone, that day twice; None where no day is recorded."""
        first_day, last_day = self.first_day or self.last_day, self.last_day or self.first_day
        if first_day is None or last_day is None:
            return None
        return min(first_day, last_day), max(first_day, last_day)


@dataclass(frozen=True)
class Reaction:
    """An AdverseEvent or AllergyIntolerance that names a drug of our tables as its cause.

    `agent` is that of the drug, or the ingredient of an augmenting agent; `day` the day it happened or began, None
    when not recorded (`recorded` is then the day somebody wrote it down). `holds` is `UNKNOWN` when only suspected.
    """

    agent: str
    text: str
    day: date | None
    holds: Answer
    reference: str
    recorded: date | None = None


class Domain(Enum):
    """What a measurement beyond mood is about; the order is that of display."""

    FUNCTION = "function"
    COGNITION = "cognition"
    QUALITY_OF_LIFE = "quality of life"
    ANXIETY = "anxiety"
    SCREENING = "screening"
    LABORATORY = "laboratory"
    VITAL_SIGN = "vital sign"


@dataclass(frozen=True)
class Measurement:
    """A value that is shown as context and changes no verdict: a functional scale, a laboratory value.

    `value` in `unit` as recorded, `unit_code` where a code stands beside the words. `unimpaired_at_most` is
    the highest total of a functional scale that shows no impairment, None where the table has none; `source`
    its citation. `use` says why it is shown.
    """

    name: str
    domain: Domain
    day: date
    value: float
    unit: str
    reference: str
    use: str = ""
    unimpaired_at_most: float | None = None
    source: str = ""
    code: str = ""
    unit_code: str = ""

    @property
    def plain_unit(self) -> str:
        """Its unit without the marks of UCUM: `mm[Hg]` and "mm Hg" are both `mmhg`. A code decides against words."""
        return plain_unit(self.unit_code or self.unit)


_MARKS_OF_A_UNIT = str.maketrans(dict.fromkeys("[]{}_ "))


def plain_unit(unit: str) -> str:
    return unit.translate(_MARKS_OF_A_UNIT).lower()


class Topic(Enum):
    """Which question a resource that could not be read might have changed."""

    DRUG = "drug"
    DRUGS = "drugs"  # any number of them: a whole search
    ADD_ON = "add-on"  # one augmenting agent: no trial of an antidepressant, but perhaps an augmentation
    FILLS = "fills"  # what was dispensed, so also what was not
    SCORE = "score"
    SCORES = "scores"  # any number of them: a whole search
    DIAGNOSIS = "diagnosis"
    AGE = "age"
    SAFETY = "safety"
    PROCEDURE = "procedure"  # one treatment that is no drug, or, of a whole search, any number
    REACTION = "reaction"  # why a drug was stopped; no verdict waits for it (docs/decisions.md)
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
    read and were not to be had (`dispenses`, `statements`, `administrations`, ...). `add_ons` are the records of
    augmenting agents, read as those of antidepressants are.
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
    add_ons: tuple[Prescription, ...] = ()
    procedures: tuple[Procedure, ...] = ()
    reactions: tuple[Reaction, ...] = ()
    measurements: tuple[Measurement, ...] = ()

    @cached_property
    def score_series(self) -> tuple[tuple[Score, ...], ...]:
        """The scores of each scale in order of their day; the scales in order of their rank."""
        by_scale: dict[str, list[Score]] = defaultdict(list)
        for score in sorted(self.scores, key=lambda score: (score.day, score.reference)):
            by_scale[score.scale.name].append(score)
        series = sorted(by_scale.values(), key=lambda of_one: (of_one[0].scale.rank, of_one[0].scale.name))
        return tuple(map(tuple, series))


# --- a definition of treatment-resistant depression ---------------------------------------------------


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
    cross_taper_days: int = 28
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


class TrialKind(Enum):
    """What was tried. All but antidepressants count only where the definition says so."""

    ANTIDEPRESSANT = "antidepressant"
    AUGMENTATION = "augmentation"
    COMBINATION = "combination"
    NEUROMODULATION = "neuromodulation"
    PSYCHOTHERAPY = "psychotherapy"


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
    kind: TrialKind = TrialKind.ANTIDEPRESSANT

    @property
    def name(self) -> str:
        return self.exposure.name

    @property
    def drug(self) -> Drug | None:
        return self.exposure.drug

    @property
    def agent(self) -> str:
        """What it counts as when agents are told apart; a drug that is not identified by its name."""
        return agent_of(self.drug, self.name)

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

    `insufficient` answers whether the response was insufficient under the definition. `judgeable_from` is the
    day from which the outcome of a running trial can be judged: long enough, and a last score counts.
    `has_worsened` tells that the last score is worse than the baseline. `intolerance` answers whether the drug
    was stopped because it was not tolerated; None when nothing speaks of it.
    """

    trial: Trial
    response: Response
    insufficient: Finding
    baseline: Score | None = None
    last: Score | None = None
    improvement_percent: float | None = None
    judgeable_from: date | None = None
    has_worsened: bool = False
    intolerance: Finding | None = None


@dataclass(frozen=True)
class EpisodeStart:
    """When the current depressive episode began: on a day from `earliest` to `latest`, both included.

    None means that no bound is known on that side; both are None when nothing tells. `text` says what it rests on.
    """

    earliest: date | None
    latest: date | None
    text: str
    evidence: tuple[str, ...] = ()


class CompanionKind(Enum):
    """What went on beside a trial."""

    AUGMENTATION = "augmentation"
    COMBINATION = "combination"
    CROSS_TAPER = "cross-taper"
    NEUROMODULATION = "neuromodulation"
    PSYCHOTHERAPY = "psychotherapy"


@dataclass(frozen=True)
class Companion:
    """What went on beside a trial, from `first_day` to `last_day`, and how many days of both coincide.

    `adequate` answers whether it is enough to count as such (dose, length, overlap), with the reason in words.
    `was_tried` tells that it was given as such, or may have been, at a dose that counts, however short it was.
    Days are None where they are not recorded. `overlap_days` counts days at any dose; `dose` is that in words,
    empty where it is not known or there is none. `agent` is what a drug counts as when agents are told apart.
    """

    kind: CompanionKind
    name: str
    first_day: date | None
    last_day: date | None
    overlap_days: int
    adequate: Finding
    dose: str = ""
    agent: str = ""
    was_tried: bool = False


@dataclass(frozen=True)
class JudgedTrial:
    """A trial with its outcome and whether it counts as a failed one under the definition."""

    trial: Trial
    outcome: Outcome
    in_scope: Finding
    failed: Finding
    companions: tuple[Companion, ...] = ()


class Verdict(Enum):
    MET = "met"
    NOT_MET = "not-met"
    INDETERMINATE = "indeterminate"
    EXCLUDED = "excluded"


@dataclass(frozen=True)
class Judgement:
    """The verdict under one definition and what it follows from.

    `failed_at_least` to `failed_at_most` is the range of failed trials that the record allows; of a definition
    that counts treatments, or points of a score, it is the range of these.
    """

    definition: Definition
    verdict: Verdict
    failed_at_least: float
    failed_at_most: float
    reasons: tuple[Finding, ...]
    trials: tuple[JudgedTrial, ...]
    staging: Staging | None = None


@dataclass(frozen=True)
class OtherView:
    """What another definition says of the same patient, and in words why it differs; empty when it agrees."""

    judgement: Judgement
    difference: str = ""

    @property
    def definition_id(self) -> str:
        return self.judgement.definition.id


@dataclass(frozen=True)
class StagingItem:
    """One item of a staging method: its points, a range when it cannot be scored for certain, and why."""

    name: str
    low: float
    high: float
    text: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Staging:
    """A staging method applied: the sum of its items, or a stage, as a range from `low` to `high`.

    `low_text` and `high_text` name the stage or band of each end. `note` says what to know about the reading.
    """

    method: str
    title: str
    low: float
    high: float
    low_text: str
    high_text: str
    items: tuple[StagingItem, ...]
    source: str
    note: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of both ends, low first, each once; none where the method has only points."""
        ends = ((self.low, self.low_text), (self.high, self.high_text))
        return tuple(dict.fromkeys(text for points, text in ends if text and text != f"{points:g} points"))


@dataclass(frozen=True)
class NextStep:
    """One option that guidance knows at this stage: never an order. `level` is its wording level.

    `cautions` are contraindications, precautions and urgent indications that the record shows (`criterion` says
    which); `is_contraindicated` tells that the option is not pointed to because of one. `label` is how a card
    calls it, `link_label` and `url` are its link; `is_shown` is False for what no card shows.
    """

    option: str
    kind: str
    level: str
    cautions: tuple[Finding, ...] = ()
    is_contraindicated: bool = False
    label: str = ""
    link_label: str = ""
    url: str = ""
    is_shown: bool = True


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
    `suicidality_is_acute` tells that the sign lies within the acute window of the definition. `check_first` are
    confounders and mimics, each resting on its record; `context` values beyond mood, which change no verdict;
    `residual_impairment` says what is left in someone whose mood has remitted. `stage` names the stage of
    treatment (rows of `tables/treatment_options.csv`) that `next_steps` belong to.
    """

    patient: str
    on: date
    definition: Definition
    verdict: Verdict
    failed_at_least: float
    failed_at_most: float
    reasons: tuple[Finding, ...]
    trials: tuple[JudgedTrial, ...]
    missing: tuple[Missing, ...]
    unread: tuple[Unread, ...]
    set_aside: tuple[Unread, ...]
    safety: Finding
    suicidality_is_acute: bool = False
    concerns_depression: bool = True
    age_years: int | None = None
    other_views: tuple[OtherView, ...] = ()
    not_looked_at: tuple[str, ...] = ()
    check_first: tuple[Finding, ...] = ()
    context: tuple[Measurement, ...] = ()
    residual_impairment: tuple[Finding, ...] = ()
    staging: tuple[Staging, ...] = ()
    stage: str = ""
    next_steps: tuple[NextStep, ...] = ()

    @property
    def other_verdicts(self) -> tuple[tuple[str, Verdict], ...]:
        return tuple((view.definition_id, view.judgement.verdict) for view in self.other_views)

    @cached_property
    def certainly_failed(self) -> int:
        """How many trials failed for certain, whatever the definition counts."""
        if self.definition.rule is Rule.FAILED_TRIALS:
            return int(self.failed_at_least)
        failed = (judged.trial for judged in self.trials if judged.failed.answer is Answer.MET)
        return len({trial.agent for trial in failed})

    @property
    def agreeing(self) -> int:
        """How many of the other definitions give the same verdict."""
        return sum(view.judgement.verdict is self.verdict for view in self.other_views)

    @property
    def assumed(self) -> tuple[str, ...]:
        """What any of the trials rests on that no record says."""
        return tuple(dict.fromkeys(text for judged in self.trials for text in judged.trial.assumed))
