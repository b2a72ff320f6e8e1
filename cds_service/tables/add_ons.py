"""The agents that are added to an antidepressant: `augmentation.csv`, read once and checked row by row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cds_service.tables.drugs import (
    DOSE_COLUMNS,
    MOST_TIMES_USUAL_DOSE,
    Antidepressant,
    Product,
    TrialUse,
    Words,
    words_of,
)
from cds_service.tables.rows import Row, read_rows
from cds_service.trd.record import AddOn, Drug

DAYS_PER_WEEK = 7
COLUMNS = (
    "agent", "rxcui", "atc", "class", "usual_high_mg", "unit", "min_effective_mg", "min_effective_source",
    "min_weeks", "min_weeks_source", "non_augmentation_rule", "role", "components", "counts", "why_not",
    "other_use_words", "other_use_source", "dose_not_of", "level_loinc", "level_at_least", "level_unit",
    "level_source",
)  # fmt: skip


@dataclass(frozen=True)
class AugmentingAgent:
    """One row of `augmentation.csv` that is no antidepressant.

    `row` holds what the readers ask of any drug. `other_uses` are phrases that, as the reason, tell another use
    than augmentation. `has_daily_dose` is False where the least dose is not one of mg per day; `not_of` are
    words of products (other salts) whose mg are not those the least dose is stated in.
    """

    row: Antidepressant
    other_uses: frozenset[Words]
    has_daily_dose: bool
    not_of: frozenset[str]


@lru_cache(maxsize=1)
def load_augmenting_agents() -> dict[frozenset[str], AugmentingAgent]:
    """The augmenting agents by their ingredients. Antidepressants that are combined have their own table."""
    rows = read_rows("augmentation.csv", COLUMNS)
    agents = [_agent(row) for row in rows if row.one_of("role", ("add_on", "combination")) == "add_on"]
    return {agent.row.components: agent for agent in agents}


def augmenting_agent(components: frozenset[str]) -> AugmentingAgent | None:
    """The augmenting agent that exactly these ingredients together are."""
    return load_augmenting_agents().get(components)


@lru_cache(maxsize=1)
def augmenting_ingredients() -> frozenset[str]:
    """The ingredients of all augmenting agents; of a combination each one."""
    return frozenset(part for components in load_augmenting_agents() for part in components)


@lru_cache(maxsize=1)
def augmenting_atc() -> dict[str, Product]:
    """ATC codes of augmenting agents. The name is the code's, as for any other drug."""
    return {
        agent.row.atc: Product(None, agent.row.components, f"ATC {agent.row.atc}")
        for agent in load_augmenting_agents().values()
        if agent.row.atc
    }


def _agent(row: Row) -> AugmentingAgent:
    parts = row.parts("components") or (row.reject("components", "ingredients"),)
    unit = row.one_of("unit", UNITS)
    least = row.number("min_effective_mg") if UNITS[unit] else None
    usual = row.number("usual_high_mg") if UNITS[unit] else None
    name = " / ".join(parts)
    drug = Drug(
        ingredient=name,
        agent=name,
        rxcui=row.text("rxcui") or None,
        drug_class=row.required("class"),
        mechanism=row.required("class"),
        minimum_mg=dict.fromkeys(DOSE_COLUMNS, least) if least else {},
        minimum_source=row.required("min_effective_source") if least else "",
        non_trial_rule=row.text("non_augmentation_rule"),
        add_on=_add_on(row),
    )
    words = row.parts("other_use_words")
    if words:
        row.required("other_use_source")
    return AugmentingAgent(
        row=Antidepressant(
            drug=drug,
            components=frozenset(parts),
            dose_component=parts[0],
            atc=row.text("atc") if " " not in row.text("atc") else "",
            use=TrialUse.UNLESS_OTHER,
            use_text="",
            is_conditional=True,
            is_per_session=False,
            counting_form=None,
            most_mg_per_day=MOST_TIMES_USUAL_DOSE * usual if usual else None,
        ),
        other_uses=frozenset(map(words_of, words)),
        has_daily_dose=UNITS[unit],
        not_of=frozenset(row.parts("dose_not_of")),
    )


# Whether the least dose is one of mg per day.
UNITS = {"mg/day": True, "mg/day lithium carbonate": True, "mg/kg per infusion": False, "": False}


def _add_on(row: Row) -> AddOn:
    weeks = row.number("min_weeks")
    counts = row.one_of("counts", ("yes", "no")) == "yes"
    level = row.number("level_at_least")
    return AddOn(
        minimum_days=round(weeks * DAYS_PER_WEEK) if weeks else None,
        counts=counts,
        why_not="" if counts else row.required("why_not"),
        source=row.required("min_weeks_source") if weeks else "",
        level_code=row.required("level_loinc") if level else "",
        minimum_level=level,
        level_units=row.parts("level_unit") or (row.reject("level_unit", "units"),) if level else (),
        level_source=row.required("level_source") if level else "",
    )
