"""What a diagnosis means to the rules, in code (`conditions.csv`) or in words (`condition_texts.csv`).

`condition_severities.csv` reads the severity that is told beside it, `check_first.csv` which of them are
confounders to be named.

A code matches its own row, else the row of the longest category above it; ICD-10 codes are read alike
from ICD-10-CM and the WHO edition, dotted or not.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from cds_service.errors import TableError
from cds_service.tables.rows import Row, read_rows
from cds_service.tables.words import LONGEST_TEXT, Phrase, plain_words, position_of
from cds_service.trd.answers import Answer
from cds_service.trd.record import CheckFirst, DiagnosisRole

TABLE = "conditions.csv"
TEXTS_TABLE = "condition_texts.csv"
SEVERITIES_TABLE = "condition_severities.csv"
CHECK_FIRST_TABLE = "check_first.csv"
COLUMNS = ("system", "code", "match", "display", "category", "role", "severity", "remission", "source")
TEXT_COLUMNS = ("phrase", "use", "role", "category", "severity", "source")

SNOMED = "http://snomed.info/sct"
ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
ICD_10 = "http://hl7.org/fhir/sid/icd-10"
ICD_9_CM = "http://hl7.org/fhir/sid/icd-9-cm"
ICD_11 = "http://id.who.int/icd/release/11/mms"
SPELLINGS_OF_SYSTEMS = {
    "urn:oid:2.16.840.1.113883.6.96": SNOMED,
    "urn:oid:2.16.840.1.113883.6.90": ICD_10_CM,
    "urn:oid:2.16.840.1.113883.6.3": ICD_10,
    "urn:oid:2.16.840.1.113883.6.103": ICD_9_CM,
    "http://hl7.org/fhir/sid/icd-10-gm": ICD_10,
    "http://fhir.de/codesystem/bfarm/icd-10-gm": ICD_10,
    "http://fhir.de/codesystem/dimdi/icd-10-gm": ICD_10,
    "http://hl7.org/fhir/sid/icd-10-us": ICD_10_CM,
    "http://hl7.org/fhir/sid/icd-9-cm/diagnosis": ICD_9_CM,
    "http://terminology.hl7.org/codesystem/icd9cm": ICD_9_CM,
}
ICD_11_SYSTEM = re.compile(r"http://id\.who\.int/icd(/release)?/?11\b.*")
ROLES = {
    "qualifying": DiagnosisRole.DEPRESSION,
    "qualifying_with_flag": DiagnosisRole.DEPRESSION,
    "qualifying_history": DiagnosisRole.FULL_REMISSION,
    "exclusion": DiagnosisRole.EXCLUSION,
    "safety_flag": DiagnosisRole.SUICIDALITY,
    "already_labelled_trd": DiagnosisRole.ALREADY_LABELLED,
    "confounder": DiagnosisRole.CONFOUNDER,
    "medical_mimic": DiagnosisRole.CONFOUNDER,
}
SEMANTIC_TAG = re.compile(r"(?: ?\((?:disorder|finding|situation|event|HCC|CMS/HCC)\))+$")
REMISSIONS = ("", "partial remission", "remission", "full remission")
SEVERITIES = ("mild", "moderate", "severe")


@dataclass(frozen=True)
class Meaning:
    """What a code or a text says. `certainty` is `UNKNOWN` for words that only hint at it.

    `severity` is empty where it says none. `is_over` tells that it names an illness in remission; depression
    has roles for that.
    """

    role: DiagnosisRole
    category: str
    text: str
    certainty: Answer = Answer.MET
    severity: str = ""
    is_over: bool = False


@lru_cache(maxsize=8192)
def meaning_of_code(system: str, code: str) -> Meaning | None:
    """What the code means, None when it is in no row."""
    codes = _load_codes()
    system, plain = canonical_system(system), _plain_code(code)
    editions = {ICD_10_CM: (ICD_10_CM, ICD_10), ICD_10: (ICD_10, ICD_10_CM)}.get(system, (system,))
    for edition in editions:
        if (edition, plain) in codes.exact:
            return codes.exact[edition, plain]
    for edition in editions:
        for length in range(len(plain), 2, -1):
            if (edition, plain[:length]) in codes.category:
                return codes.category[edition, plain[:length]]
    return None


def is_depression_code(system: str, code: str) -> bool:
    """Whether the code is a depressive disorder, current or in remission."""
    meaning = meaning_of_code(system, code)
    return meaning is not None and meaning.role in (DiagnosisRole.DEPRESSION, DiagnosisRole.FULL_REMISSION)


def canonical_system(system: str) -> str:
    """The code system's URI as the table writes it: `https`, a trailing slash, an OID or a version aside."""
    plain = re.sub(r"^https:", "http:", system.strip().lower().partition("|")[0].rstrip("/"))
    if plain.startswith(SNOMED):
        return SNOMED
    if ICD_11_SYSTEM.fullmatch(plain):
        return ICD_11
    return SPELLINGS_OF_SYSTEMS.get(plain, plain)


def is_known_system(system: str) -> bool:
    """Whether a code of this system that is in no row is known to be something else."""
    return canonical_system(system) in (SNOMED, ICD_10_CM, ICD_10, ICD_9_CM, ICD_11)


@lru_cache(maxsize=8192)
def meaning_of_text(text: str) -> Meaning | None:
    """What a diagnosis in words means, None when it speaks of nothing in the table, or denies it.

    The whole text equal to a phrase, or to what a code stands for, is certain; a phrase somewhere in it
    is a hint.
    """
    phrases, words = _load_texts(), _diagnosis_words(text)
    known = phrases.exact.get(words) or _load_displays().get(words)
    if known:
        return known
    if _speaks_of_remission(words, phrases):
        return Meaning(
            DiagnosisRole.FULL_REMISSION, DEPRESSION_IN_REMISSION, text[:LONGEST_TEXT].strip(), Answer.UNKNOWN
        )
    hints = ((position_of(phrase, words), meaning) for phrase, meaning in phrases.mentions)
    for place, meaning in hints:
        if place is not None and not _is_denied(meaning, words[:place], phrases):
            return meaning
    return None


DEPRESSION_IN_REMISSION = "mdd_remission"


def _speaks_of_remission(words: Phrase, phrases: _Texts) -> bool:
    """Whether a depression is said to be in remission, and not in partial remission only."""
    if "remission" not in words or {"partial", "incomplete"} & {*words}:
        return False
    before = words[: words.index("remission")]
    is_depression = any(word == "mdd" or word.startswith("depress") for word in words)
    return is_depression and not any(position_of(phrase, before) is not None for phrase in phrases.negations)


def is_denied(before: Phrase) -> bool:
    """Whether the words before a phrase deny it ("no", "family history of")."""
    return any(position_of(phrase, before) is not None for phrase in _load_texts().negations)


def _diagnosis_words(text: str) -> Phrase:
    return plain_words(SEMANTIC_TAG.sub("", text[:LONGEST_TEXT]))


def _is_denied(meaning: Meaning, before: Phrase, phrases: _Texts) -> bool:
    """Whether the words before deny it. Past suicidality is no sign of it now; other illnesses stay."""
    deny = phrases.negations
    if meaning.role is DiagnosisRole.SUICIDALITY:
        deny = (*deny, *phrases.pasts)
    return any(position_of(phrase, before) is not None for phrase in deny)


@dataclass(frozen=True)
class Confounder:
    """A row of `check_first.csv`. It is over so many days after it was recorded; None for no such limit."""

    check_first: CheckFirst | None
    over_after_days: int | None


NO_CONFOUNDER = Confounder(None, None)


def confounder(category: str) -> Confounder:
    """What is to be checked first of this category; nothing for those without a row."""
    return _load_confounders().get(category, NO_CONFOUNDER)


def severity_of(system: str | None, code: str) -> str:
    """The severity that a code of `Condition.severity`, or without a system a word, stands for; else empty."""
    key = canonical_system(system or ""), code.strip().lower()
    return _load_severities().get(key, "")


# --- loading ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Codes:
    """Rows by system and plain code; `category` rows stand for all codes that begin with theirs."""

    exact: dict[tuple[str, str], Meaning]
    category: dict[tuple[str, str], Meaning]


@dataclass(frozen=True)
class _Texts:
    exact: dict[Phrase, Meaning]
    mentions: tuple[tuple[Phrase, Meaning], ...]
    negations: tuple[Phrase, ...]
    pasts: tuple[Phrase, ...]


@lru_cache(maxsize=1)
def _load_codes() -> _Codes:
    exact: dict[tuple[str, str], Meaning] = {}
    category: dict[tuple[str, str], Meaning] = {}
    for row in read_rows(TABLE, COLUMNS):
        row.required("source")
        target = {"exact": exact, "prefix": category}[row.one_of("match", ("exact", "prefix"))]
        key = row.required("system"), _plain_code(row.required("code"))
        if key in exact or key in category:
            raise TableError(f"{TABLE}:{row.line}: code {key[1]} has a row already, expected one")
        target[key] = _meaning(row)
        if target is category:
            exact[key] = target[key]
    return _Codes(exact, category)


def _meaning(row: Row) -> Meaning:
    role = ROLES[row.one_of("role", ROLES)]
    remission = row.one_of("remission", REMISSIONS)
    if role is DiagnosisRole.FULL_REMISSION and not remission:
        row.reject("remission", "which remission")
    if role in (DiagnosisRole.DEPRESSION, DiagnosisRole.FULL_REMISSION) and remission:
        role = _role_in_remission(remission)
    # Remission that no row says to close the episode does not tell full from partial.
    closes = row.text("role") == "qualifying_history"
    is_open = role is DiagnosisRole.FULL_REMISSION and remission == "remission" and not closes
    return Meaning(
        role,
        row.required("category"),
        SEMANTIC_TAG.sub("", row.required("display")),
        Answer.UNKNOWN if is_open else Answer.MET,
        severity=_severity(row),
        is_over=role is DiagnosisRole.CONFOUNDER and remission in ("remission", "full remission"),
    )


def _severity(row: Row) -> str:
    return row.one_of("severity", ("", *SEVERITIES))


def _role_in_remission(remission: str) -> DiagnosisRole:
    """An episode in partial remission is not over."""
    return DiagnosisRole.DEPRESSION if remission == "partial remission" else DiagnosisRole.FULL_REMISSION


NAMED_BY_DISPLAY = (DiagnosisRole.DEPRESSION, DiagnosisRole.FULL_REMISSION, DiagnosisRole.EXCLUSION)


@lru_cache(maxsize=1)
def _load_displays() -> dict[Phrase, Meaning]:
    """The displays of single codes, unless two codes with one display mean different things."""
    meanings: dict[Phrase, set[Meaning]] = defaultdict(set)
    for row in read_rows(TABLE, COLUMNS):
        if row.text("match") == "exact":
            meanings[_diagnosis_words(row.required("display"))].add(_meaning(row))
    found = {
        words: min(those, key=lambda meaning: meaning.text)
        for words, those in meanings.items()
        if len(_kinds(those)) == 1
    }
    return {words: meaning for words, meaning in found.items() if meaning.role in NAMED_BY_DISPLAY}


def _kinds(meanings: Iterable[Meaning]) -> set[tuple[DiagnosisRole, str]]:
    return {(meaning.role, meaning.category) for meaning in meanings}


def _plain_code(code: str) -> str:
    return code.strip().upper().replace(".", "")


@lru_cache(maxsize=1)
def _load_texts() -> _Texts:
    exact: dict[Phrase, Meaning] = {}
    mentions: list[tuple[Phrase, Meaning]] = []
    others: dict[str, list[Phrase]] = {"negation": [], "past": []}
    for row in read_rows(TEXTS_TABLE, TEXT_COLUMNS):
        phrase, use = plain_words(row.required("phrase")), row.one_of("use", ("exact", "mention", *others))
        row.required("source")
        if use == "exact":
            exact[phrase] = _text_meaning(row, Answer.MET)
        elif use == "mention":
            mentions.append((phrase, _text_meaning(row, Answer.UNKNOWN)))
        else:
            others[use].append(phrase)
    by_weight = tuple(sorted(mentions, key=_exclusions_first))
    return _Texts(exact, by_weight, tuple(others["negation"]), tuple(others["past"]))


def _text_meaning(row: Row, certainty: Answer) -> Meaning:
    role = DiagnosisRole(row.one_of("role", [role.value for role in DiagnosisRole]))
    text = f"“{row.text('phrase')}”"
    return Meaning(role, row.required("category"), text, certainty, _severity(row))


def _exclusions_first(mention: tuple[Phrase, Meaning]) -> tuple[bool, int]:
    """A text that hints at several is read as the one that most changes the answer, then the longest."""
    phrase, meaning = mention
    return meaning.role is not DiagnosisRole.EXCLUSION, -len(phrase)


@lru_cache(maxsize=1)
def _load_severities() -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for row in read_rows(SEVERITIES_TABLE, ("system", "code", "severity", "source")):
        row.required("source")
        found[row.text("system"), row.required("code")] = row.one_of("severity", SEVERITIES)
    return found


@lru_cache(maxsize=1)
def _load_confounders() -> dict[str, Confounder]:
    found: dict[str, Confounder] = {}
    for row in read_rows(CHECK_FIRST_TABLE, ("category", "named", "say", "why", "over_after_days", "source")):
        category, source, why = row.required("category"), row.required("source"), row.required("why")
        if category in found:
            row.reject("category", "a category that has no row yet")
        is_named = row.one_of("named", ("yes", "no")) == "yes"
        days = row.number("over_after_days")
        if days is not None and days != int(days):
            row.reject("over_after_days", "whole days")
        found[category] = Confounder(
            CheckFirst(row.required("say"), why, source) if is_named else None,
            None if days is None else int(days),
        )
    return found
