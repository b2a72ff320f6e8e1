"""The nouns of the record: what a table row or a FHIR resource says.

    Prescription   one MedicationRequest, normalised: which drug, how much on which days, for what;
                   a dispensing, a statement or an administration that no order covers is read as one too
    History        all that the rules know of one patient

Days are `datetime.date`; `first_day` and `last_day` are both included. Doses are mg per day of the
ingredient that the minimum dose is stated for. Nothing here knows FHIR, JSON, a clock or a file.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from functools import cached_property

from cds_service.trd.answers import Answer, Finding


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
    words which uses of the drug are no treatment of depression (low doses for sleep, for pain); `low_dose_use`
    what doses below every minimum are commonly given for instead, without a word of it in the order.
    """

    ingredient: str
    agent: str
    rxcui: str | None
    drug_class: str
    mechanism: str
    minimum_mg: dict[str, float] = field(default_factory=dict, hash=False)
    minimum_source: str = ""
    non_trial_rule: str = ""
    low_dose_use: str = ""
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
    records of other sources that speak of the same days, `supplies` all that was dispensed of the drug,
    `without_statements` what is told of the drug when its statements are left out; all are the work of
    `trd.sources`. `total_mg` is all that was dispensed, where it is not told for how many days.
    `unit_mg_per_day` is the dose if one unit a day were taken, for records that say nothing of the dose;
    `assumed` says what the dose rests on that no record says. `stated_end` is a day
    after which the record itself says it was over; `has_stated_use` tells that it says to treat depression.
    `named_by` is the address of the terminology service that says which drug it is; empty when the record and
    our tables tell. `replaces` is the reference of the order that a draft says it replaces: the end of that one is
    meant. On record such an order has ended already.
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
    without_statements: tuple[Prescription, ...] = ()
    total_mg: float | None = None
    unit_mg_per_day: float | None = None
    stated_end: date | None = None
    has_stated_use: bool = False
    assumed: str = ""
    named_by: str = ""
    replaces: str = ""

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


@dataclass(frozen=True)
class OpenRequest:
    """A ServiceRequest that is not over and asks for what a card might suggest (`request`, a name of the cards).

    `day` is the earliest day on which it may have been written, None when not recorded; `status` and `written` are
    as recorded. `holds` is `UNKNOWN` when it may be over, or may ask for something else.
    """

    request: str
    said: str
    reference: str
    status: str
    day: date | None
    written: str
    holds: Answer


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
    REQUEST = "request"  # what is asked for already; no verdict waits for it
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
    open_requests: tuple[OpenRequest, ...] = ()

    @cached_property
    def score_series(self) -> tuple[tuple[Score, ...], ...]:
        """The scores of each scale in order of their day; the scales in order of their rank."""
        by_scale: dict[str, list[Score]] = defaultdict(list)
        for score in sorted(self.scores, key=lambda score: (score.day, score.reference)):
            by_scale[score.scale.name].append(score)
        series = sorted(by_scale.values(), key=lambda of_one: (of_one[0].scale.rank, of_one[0].scale.name))
        return tuple(map(tuple, series))
