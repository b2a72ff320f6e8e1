"""Concerns about drafts → cards: which concern leads, what it says and offers, and what makes it the same card."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt

from cards.call import Call
from cards.card import Card, Indicator, to_json, utf16_units
from cards.catalogue import cards_for
from cards.intake import at_intake
from cards.order_cards import order_cards
from cards.words import load_words
from cds_service.trd.answers import Answer, Finding
from cds_service.trd.draft_orders import Concern, DraftConcern
from cds_service.trd.model import Assessment, JudgedTrial
from cds_service.trd.record import DoseSegment, Drug, Prescription, Unread
from tests.conftest import examples
from tests.spec.assessments import ON, SUICIDALITY, a_definition, a_trial, an_assessment
from tests.spec.texttables import rows

SCHEMA = json.loads(files("cds_service.schemas").joinpath("cds-hooks-response.json").read_text("utf-8"))
REPLY = Draft202012Validator(SCHEMA)
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
SERTRALINE = Drug("sertraline", "sertraline", "36437", "SSRI", "serotonin", {"default": 50.0})


def a_draft(
    *doses: tuple[float | None, float | None], reference: str = "MedicationRequest/d1", **given: Any
) -> Prescription:
    """An order of sertraline in steps of a week, each from a low to a high dose."""
    segments = tuple(
        DoseSegment(ON + timedelta(7 * week), ON + timedelta(7 * week + 6), low, high)
        for week, (low, high) in enumerate(doses or ((50.0, 50.0),))
    )
    values: dict[str, Any] = {
        "drug": SERTRALINE,
        "name": "Sertraline 50 MG Oral Tablet",
        "segments": segments,
        "treats_depression": Finding("use", Answer.MET, "for depression"),
    }
    return Prescription(reference, **values | given)


def a_concern(
    kind: Concern = Concern.FAILED_BEFORE,
    answer: Answer = Answer.MET,
    text: str = "sertraline failed",
    evidence: tuple[str, ...] = ("MedicationRequest/1",),
    draft: Prescription | None = None,
    **values: str,
) -> DraftConcern:
    return DraftConcern(kind, draft or a_draft(), Finding(kind.value, answer, text, evidence), values)


def only_card(*concerns: DraftConcern, assessment: Assessment | None = None, **given: Any) -> Card:
    (card,) = order_cards(concerns, assessment or an_assessment(), **given)
    return card


def visible(card: Card) -> str:
    inline = [token for token in MARKDOWN.parse(card.detail) if token.type == "inline"]
    return "\n".join("".join(child.content for child in token.children or ()) for token in inline)


# --- which card -------------------------------------------------------------------------------------------


def test_no_concern_is_no_card() -> None:
    assert order_cards((), an_assessment()) == ()
    assert order_cards((a_concern(answer=Answer.NOT_MET),), an_assessment()) == ()


URGENCY = """
    concern                | met      | unknown
    MAOI                   | critical | warning
    DUPLICATE_SEROTONERGIC | warning  | info
    FAILED_BEFORE          | warning  | info
    FAILED_CLASS           | warning  | info
    TWO_FAILED             | warning  | info
    CUTS_TRIAL_SHORT       | info     | info
    BELOW_MINIMUM          | info     | info
"""


@pytest.mark.parametrize("row", rows(URGENCY), ids=lambda row: row["concern"])
def test_urgency(row: dict[str, str]) -> None:
    kind = Concern[row["concern"]]
    assert only_card(a_concern(kind)).indicator is Indicator(row["met"])
    assert only_card(a_concern(kind, Answer.UNKNOWN)).indicator is Indicator(row["unknown"])


def test_the_most_pressing_concern_leads_and_the_others_are_told() -> None:
    card = only_card(
        a_concern(Concern.FAILED_BEFORE, Answer.UNKNOWN, "perhaps it failed"),
        a_concern(Concern.TWO_FAILED, text="two failed"),
        a_concern(Concern.BELOW_MINIMUM, text="too little"),
    )
    assert card.source.topic is not None
    assert card.source.topic.code == "order-two-failed"
    told = [line for line in visible(card).splitlines() if "(MedicationRequest/1)" in line]
    assert [line.partition(":")[0] for line in told] == [
        "Criteria met",
        "May have failed before",
        "Dose below the minimum",
    ]


def test_of_equally_urgent_concerns_the_first_that_is_told_leads() -> None:
    card = only_card(a_concern(Concern.FAILED_BEFORE), a_concern(Concern.TWO_FAILED))
    assert "failed already" in card.summary


def test_each_draft_has_a_card_of_its_own() -> None:
    other = a_draft(reference="MedicationRequest/d2")
    concerns = (a_concern(), a_concern(draft=other), a_concern(Concern.BELOW_MINIMUM))
    cards = order_cards(concerns, an_assessment())
    named = [[reference in visible(card) for reference in ("/d1)", "/d2)")] for card in cards]
    assert named == [[True, False], [False, True]]
    assert ["Dose below" in card.detail for card in cards] == [True, False]


# --- what it says -----------------------------------------------------------------------------------------

ORDERS: list[tuple[list[tuple[float | None, float | None]], str]] = [
    ([(50, 50)], "Order of sertraline 50 mg: "),
    ([(37.5, 37.5)], "Order of sertraline 37.5 mg: "),
    ([(50, 50), (100, 100)], "Order of sertraline 50 to 100 mg: "),
    ([(50, 100)], "Order of sertraline 50 to 100 mg: "),
    ([(None, None)], "Order of sertraline: "),
    ([(50, 50), (None, None)], "Order of sertraline: "),
    ([(50, None)], "Order of sertraline: "),
]


@pytest.mark.parametrize(("doses", "named"), ORDERS)
def test_the_summary_names_the_order(doses: list[tuple[float | None, float | None]], named: str) -> None:
    card = only_card(a_concern(draft=a_draft(*doses)))
    assert card.summary.startswith(named)
    assert ("dose not known" in visible(card)) == named.endswith("sertraline: ")


@pytest.mark.parametrize("kind", Concern)
def test_what_is_not_certain_is_worded_as_may(kind: Concern) -> None:
    certain, perhaps = only_card(a_concern(kind)), only_card(a_concern(kind, Answer.UNKNOWN))
    assert " may " not in certain.summary
    assert " may " in perhaps.summary
    assert certain.summary != perhaps.summary


SUMMARIES = """
    concern                | values                               | summary
    MAOI                   | other=phenelzine day=2026-07-15      | too close to phenelzine (MAOI washout), not before 2026-07-15
    MAOI                   | other=phenelzine day=                | not to be taken with, or too soon after, phenelzine (MAOI interaction)
    MAOI                   |                                      | not to be taken with an MAOI, or within its washout
    DUPLICATE_SEROTONERGIC | other=venlafaxine                    | venlafaxine is being taken as well, and both act on serotonin
    FAILED_BEFORE          | failed_dose=100mg/day weeks=12       | it has failed already, at up to 100mg/day for 12 weeks
    FAILED_BEFORE          | failed_dose= weeks=12                | an adequate trial of it has failed already
    FAILED_CLASS           | class=SSRI other=citalopram          | of its class (SSRI), citalopram have failed already
    TWO_FAILED             | count=2                              | 2 adequate trials failed, criteria for TRD are met; consider an assessment first
    CUTS_TRIAL_SHORT       | other=citalopram day=2026-07-12      | citalopram can be judged from 2026-07-12 only; a switch now would cut its trial short
    BELOW_MINIMUM          | minimum=50mg/day                     | below the adequate minimum of 50mg/day
    BELOW_MINIMUM          |                                      | below the adequate minimum dose
"""  # noqa: E501


@pytest.mark.parametrize("row", rows(SUMMARIES), ids=lambda row: f"{row['concern']} {row['values']}")
def test_the_first_wording_for_which_all_is_known(row: dict[str, str]) -> None:
    values = dict(pair.split("=") for pair in row["values"].split())
    card = only_card(a_concern(Concern[row["concern"]], **values))
    assert card.summary == f"Order of sertraline 50 mg: {row['summary']}"


def test_a_long_name_leads_to_a_shorter_wording() -> None:
    card = only_card(a_concern(Concern.DUPLICATE_SEROTONERGIC, other="x" * 120))
    assert card.summary == "Order of sertraline 50 mg: another serotonergic antidepressant is being taken"


def a_trial_of(reference: str) -> JudgedTrial:
    trial = a_trial("sertraline")
    exposure = replace(trial.trial.exposure, prescriptions=(a_draft(reference=reference),))
    return replace(trial, trial=replace(trial.trial, exposure=exposure))


def test_the_workings_are_the_trials_that_a_concern_rests_on() -> None:
    assessment = an_assessment(trials=(a_trial_of("MedicationRequest/1"), a_trial("venlafaxine")))
    card = only_card(a_concern(evidence=("MedicationRequest/1", "Observation/2")), assessment=assessment)
    assert "| sertraline | 100 mg (min 50) | 85 days" in card.detail
    assert "| venlafaxine" not in card.detail
    assert "(MedicationRequest/1, Observation/2)" in visible(card)


def test_without_such_a_trial_there_is_no_table() -> None:
    card = only_card(a_concern(Concern.BELOW_MINIMUM, evidence=()))
    assert "|" not in card.detail
    assert "No antidepressant trial" not in card.detail


def test_what_was_not_read_and_by_which_rule_is_told() -> None:
    assessment = an_assessment(unread=(Unread("Medication/9", "it is gone"),), not_looked_at=("dispenses",))
    text = visible(only_card(a_concern(), assessment=assessment))
    assert "Medication/9: it is gone" in text
    assert "Not looked at: what was dispensed." in text
    assert "Definition: test-rule, version 1" in text
    assert "Chosen by this project" not in text
    assert "Assessed on 2026-06-30." in text


@pytest.mark.parametrize("kind", [Concern.MAOI, Concern.DUPLICATE_SEROTONERGIC])
def test_what_rests_on_no_definition_names_none_and_shows_no_trials(kind: Concern) -> None:
    """A washout holds whatever came of the trial: what was scored then would only hide it."""
    assessment = an_assessment(trials=(a_trial_of("MedicationRequest/1"),))
    alone = only_card(a_concern(kind), assessment=assessment)
    assert "Definition" not in alone.detail and "|" not in alone.detail
    assert "Assessed on 2026-06-30." in visible(alone)
    both = only_card(a_concern(kind), a_concern(), assessment=assessment)
    assert "Definition" in both.detail and "|" in both.detail


def test_more_evidence_than_fits_is_counted_and_the_draft_is_no_evidence() -> None:
    evidence = ("MedicationRequest/d1", *(f"Observation/{number}" for number in range(6)))
    text = visible(only_card(a_concern(evidence=evidence)))
    assert "(Observation/0, Observation/1, Observation/2, Observation/3, and 2 more)" in text


def test_a_concern_told_twice_is_said_once() -> None:
    assert visible(only_card(a_concern(), a_concern())).count("Failed before") == 1


NASTY = "<script>alert(1)</script> [x](javascript:alert(1)) | a\n# b `c`"


def test_text_of_a_record_is_shown_literally() -> None:
    draft = a_draft(drug=replace(SERTRALINE, ingredient=NASTY), name=NASTY, reference=NASTY)
    card = only_card(a_concern(text=NASTY, draft=draft, evidence=(NASTY,), other=NASTY))
    kinds = {child.type for token in MARKDOWN.parse(card.detail) for child in token.children or ()}
    assert not {"html_inline", "link_open", "image", "code_inline"} & kinds
    assert "\n" not in card.summary


# --- what it offers ---------------------------------------------------------------------------------------

OFFERS = """
    concern                | offers
    MAOI                   | remove
    DUPLICATE_SEROTONERGIC | nothing
    FAILED_BEFORE          | history, psychiatry
    FAILED_CLASS           | history, psychiatry
    TWO_FAILED             | history, psychiatry
    CUTS_TRIAL_SHORT       | nothing
    BELOW_MINIMUM          | nothing
"""
LABELS = {
    "remove": "Remove this order",
    "history": "treatment history",
    "psychiatry": "referral to psychiatry",
}


@pytest.mark.parametrize("row", rows(OFFERS), ids=lambda row: row["concern"])
def test_what_is_offered(row: dict[str, str]) -> None:
    card = only_card(a_concern(Concern[row["concern"]]))
    expected = [] if row["offers"] == "nothing" else row["offers"].split(", ")
    assert len(card.suggestions) == len(expected)
    assert all(LABELS[name] in each.label for name, each in zip(expected, card.suggestions, strict=True))
    assert (card.selection_behavior is None) == (not expected)


def test_the_removal_deletes_the_draft_and_is_not_recommended() -> None:
    card = only_card(a_concern(Concern.MAOI), a_concern(Concern.FAILED_BEFORE))
    (suggestion,) = card.suggestions
    assert not suggestion.is_recommended
    assert [action.resource_id for action in suggestion.actions] == ["MedicationRequest/d1"]


@pytest.mark.parametrize(
    "reference", ["context.draftOrders.entry[0].resource", "MedicationRequest/a b", "Patient/p1", ""]
)
def test_a_draft_that_cannot_be_named_cannot_be_removed(reference: str) -> None:
    assert only_card(a_concern(Concern.MAOI, draft=a_draft(reference=reference))).suggestions == ()


@pytest.mark.parametrize(("age", "code"), [(64, "183524004"), (65, "183528001"), (None, "183524004")])
def test_the_referral_suits_the_age(age: int | None, code: str) -> None:
    card = only_card(a_concern(), assessment=an_assessment(age_years=age), call=Call(encounter_id="e1"))
    referral = card.suggestions[1].actions[0].resource
    assert referral is not None
    assert referral["code"]["coding"][0]["code"] == code
    assert referral["encounter"] == {"reference": "Encounter/e1"}
    assert referral["reasonCode"] == [{"text": card.summary}]


@pytest.mark.conformance("CH-516", "CH-518")
@pytest.mark.parametrize("words", load_words().orders.values(), ids=load_words().orders)
def test_each_concern_has_reasons_for_not_following_it(words: Any) -> None:
    assert len(words.override_reasons) >= 3
    assert len(set(words.override_reasons)) == len(words.override_reasons)
    assert words.summaries[-1].isascii()
    assert "{" not in words.summaries[-1] + words.summaries_if_unknown[-1]


def test_all_concerns_have_words_and_topics_of_their_own() -> None:
    orders = load_words().orders
    assert {kind.name for kind in Concern} <= set(orders)
    topics = [words.kind for words in orders.values()]
    assert len(set(topics)) == len(topics)
    assert all(topic.startswith("order-") for topic in topics)
    assert set(topics).isdisjoint(load_words().cards)


# --- what makes it the same card --------------------------------------------------------------------------


def test_the_same_facts_on_another_day_under_another_temporary_id() -> None:
    first = only_card(a_concern(evidence=("MedicationRequest/d1", "MedicationRequest/1"), day="2026-07-15"))
    again = a_draft(reference="MedicationRequest/tmp-7", name="sertraline")
    later = a_concern(text="worded anew", draft=again, evidence=("MedicationRequest/1",), day="2026-07-16")
    assert only_card(later, assessment=an_assessment(on=date(2026, 7, 1))).facts == first.facts
    assert first.facts
    assert first.uuid != only_card(a_concern()).uuid


PAIR = {"other": "phenelzine", "until": "2026-06-20"}


@pytest.mark.parametrize("kind", [Concern.MAOI, Concern.DUPLICATE_SEROTONERGIC])
def test_of_another_drug_its_name_and_last_day_are_the_facts(kind: Concern) -> None:
    """The other may be a draft too, whose id is temporary; taken for longer, it makes another card."""
    first = only_card(a_concern(kind, evidence=("MedicationRequest/tmp-1",), **PAIR)).facts
    assert only_card(a_concern(kind, evidence=("MedicationRequest/tmp-2",), **PAIR)).facts == first
    for changed in ({"until": "2026-06-28"}, {"until": ""}, {"other": "tranylcypromine"}):
        assert (
            only_card(a_concern(kind, evidence=("MedicationRequest/tmp-1",), **PAIR | changed)).facts != first
        )


@pytest.mark.parametrize(
    "changed",
    [
        a_concern(Concern.FAILED_CLASS),
        a_concern(answer=Answer.UNKNOWN),
        a_concern(evidence=("MedicationRequest/1", "Observation/2")),
        a_concern(draft=a_draft((100, 100))),
        a_concern(draft=a_draft(drug=replace(SERTRALINE, agent="citalopram"))),
    ],
)
def test_other_facts_make_another_card(changed: DraftConcern) -> None:
    assert only_card(changed).facts != only_card(a_concern()).facts


def test_another_rule_and_another_concern_beside_make_another_card() -> None:
    first = only_card(a_concern()).facts
    by_another = an_assessment(definition=a_definition(content_hash="other"))
    assert only_card(a_concern(), assessment=by_another).facts != first
    assert only_card(a_concern(), a_concern(Concern.BELOW_MINIMUM)).facts != first


# --- whatever comes, the reply is valid -------------------------------------------------------------------


@settings(max_examples=examples(80), deadline=None)
@given(
    text=st.text(max_size=200),
    doses=st.lists(st.tuples(st.none() | st.floats(), st.none() | st.floats()), max_size=3),
    answer=st.sampled_from(Answer),
)
def test_no_text_or_number_breaks_a_reply(
    text: str, doses: list[tuple[float | None, float | None]], answer: Answer
) -> None:
    names = ("other", "dose", "minimum", "day", "days", "count", "class", "failed_dose", "weeks")
    draft = a_draft(*doses, reference=text, name=text, drug=replace(SERTRALINE, ingredient=text))
    concerns = [
        a_concern(kind, answer, text, (text,), draft, **dict.fromkeys(names, text)) for kind in Concern
    ]
    for chosen in (concerns, *([concern] for concern in concerns)):
        cards = order_cards(chosen, an_assessment(), call=Call(encounter_id=text))
        reply = {"cards": [to_json(card) for card in cards]}
        REPLY.validate(reply)
        assert len(cards) == (answer is not Answer.NOT_MET)
        json.dumps(reply, allow_nan=False, ensure_ascii=False).encode("utf-8")


# --- at intake --------------------------------------------------------------------------------------------


def test_a_card_at_intake_says_so_and_rests_on_the_same() -> None:
    for card in cards_for(an_assessment(safety=SUICIDALITY)):
        begun = at_intake(card)
        assert begun.summary == f"At intake: {card.summary}"
        assert begun.detail.startswith("**At intake:** ")
        assert begun.detail.endswith(card.detail)
        assert replace(begun, summary=card.summary, detail=card.detail) == card


@pytest.mark.conformance("CH-505")
@pytest.mark.parametrize("summary", ["x" * 139, "word " * 27 + "end", "\N{GRINNING FACE}" * 69])
def test_a_long_summary_still_fits_at_intake(summary: str) -> None:
    (card,) = cards_for(an_assessment())
    begun = at_intake(replace(card, summary=summary))
    assert begun.summary.startswith("At intake: ")
    assert begun.summary.endswith("…")
    assert 100 < utf16_units(begun.summary) < 140


def test_every_kind_of_card_has_words_for_intake() -> None:
    assert set(load_words().cards) <= set(load_words().intake)
    assert all(
        words.startswith("**At intake:** ")
        for kind, words in load_words().intake.items()
        if kind != "summary"
    )
