"""The nouns of the rules: what they conclude from the record (`record.py`) under a definition (`parameters.py`).

    Exposure       continuous use of one drug, with dose segments
    Trial          an exposure judged as an attempt at treatment: adequate dose, long enough
    Outcome        what happened to symptoms during a trial
    Assessment     the verdict under one definition, with every reason

Days are `datetime.date`; `first_day` and `last_day` are both included. Doses are mg per day of the
ingredient that the minimum dose is stated for. `evidence` holds FHIR references such as `MedicationRequest/7`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum
from functools import cached_property

from cds_service.trd.answers import Answer, Finding, all_of
from cds_service.trd.parameters import Definition, Rule
from cds_service.trd.record import (
    Diagnosis,
    DoseSegment,
    Drug,
    Measurement,
    OpenRequest,
    Prescription,
    Score,
    StopReason,
    Unread,
    agent_of,
)


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
        return all_of([finding.answer for finding in self.criteria])

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


ON_RECORD = "on record"
"""The criterion of what tells that an option was given already: no caution against it."""


@dataclass(frozen=True)
class NextStep:
    """One option that guidance knows at this stage: never an order. `level` is its wording level.

    `cautions` are contraindications, precautions and urgent indications that the record shows, and that it was
    given already (`criterion` says which); `is_contraindicated` tells that the option is not pointed to because
    of one. `label` is how a card calls it, `link_label` and `url` are its link; `is_shown` is False for what no
    card shows.
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
class MaoiRisk:
    """A monoamine oxidase inhibitor (MAOI) with a drug that it must not be taken with, now or lately.

    `goes_on` tells that one of them is, or may be, taken today while the other is too or its washout is not over;
    `together_today` answers whether both are taken today. `sources` are the citations of the rows that say so.
    """

    maoi: str
    other: str
    finding: Finding
    goes_on: bool
    together_today: Answer
    sources: tuple[str, ...]


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
    treatment (rows of `tables/treatment_options.csv`) that `next_steps` belong to. `open_requests` are those that
    ask already for what a card may suggest; `maoi_risks` drugs on record that must not be taken together;
    `diagnoses` are those of depression, and those that may exclude.
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
    open_requests: tuple[OpenRequest, ...] = ()
    maoi_risks: tuple[MaoiRisk, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()

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

    @cached_property
    def agreeing(self) -> int:
        """How many of the other definitions give the same verdict."""
        return sum(view.judgement.verdict is self.verdict for view in self.other_views)

    @property
    def assumed(self) -> tuple[str, ...]:
        """What any of the trials rests on that no record says."""
        return tuple(dict.fromkeys(text for judged in self.trials for text in judged.trial.assumed))
