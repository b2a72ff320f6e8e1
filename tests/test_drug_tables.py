"""Every row of the drug tables: readable, sourced, and consistent with the others."""

from __future__ import annotations

import csv
from importlib.resources import files

import pytest

from cds_service.errors import TableError
from cds_service.tables import dosing, drugs, reasons
from cds_service.tables.rows import Row

TABLES = files("cds_service.tables")
SOURCED = {
    "antidepressants.csv": ("rxcui_source", "ddd_source", "label_source", "atrq_source", "default_rationale"),
    "augmentation.csv": ("rxcui_source",),
    "brands.csv": ("source",),
    "dose_equivalents.csv": ("source",),
    "dose_forms.csv": ("source",),
    "dose_units.csv": ("source",),
    "drug_aliases.csv": ("source",),
    "event_timings.csv": ("source",),
    "indications.csv": ("source",),
    "ndc_products.csv": ("source",),
    "rxnorm_concepts.csv": ("source",),
    "rxnorm_products.csv": ("source",),
    "sig_phrases.csv": ("source",),
    "snomed_antidepressants.csv": ("source",),
    "stop_reasons.csv": ("source",),
    "time_units.csv": ("source",),
    "timing_codes.csv": ("source",),
    "unspecific_drug_names.csv": ("source",),
}
MAY_LACK = {("antidepressants.csv", "label_source"), ("antidepressants.csv", "ddd_source")}


def rows(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(TABLES.joinpath(table).read_text("utf-8").splitlines()))


@pytest.mark.parametrize("table", SOURCED)
def test_every_row_has_its_sources(table: str) -> None:
    for line, row in enumerate(rows(table), start=2):
        for column in SOURCED[table]:
            assert row[column] or (table, column) in MAY_LACK, f"{table}:{line}: {column} is empty"
            assert row[column] not in ("n/a", "-"), f"{table}:{line}: {column}"


@pytest.mark.parametrize("table", SOURCED)
def test_every_row_has_all_cells_and_no_stray_spaces(table: str) -> None:
    for line, row in enumerate(rows(table), start=2):
        assert None not in row
        assert None not in row.values(), f"{table}:{line}"
        assert all(cell == cell.strip() for cell in row.values()), f"{table}:{line}"


def test_figures_known_only_from_an_unofficial_mirror_are_not_shipped() -> None:
    for table in SOURCED:
        assert "UTD" not in TABLES.joinpath(table).read_text("utf-8"), table


def test_minimum_doses_rise_from_lenient_to_strict() -> None:
    for name, row in drugs.load_antidepressants().items():
        given = [mg for column in drugs.DOSE_COLUMNS if (mg := row.drug.minimum_mg.get(column)) is not None]
        assert given == sorted(given), name


def test_every_minimum_says_what_it_rests_on_and_lies_below_the_most_that_is_believed() -> None:
    for name, row in drugs.load_antidepressants().items():
        if row.drug.minimum_mg:
            assert row.drug.minimum_source, name
            assert row.most_mg_per_day is not None, name
            assert max(row.drug.minimum_mg.values()) < row.most_mg_per_day, name


def test_doses_that_a_figure_with_a_source_supports() -> None:
    """A mark that the table was not changed by accident; the sources stand in the row."""
    minimum = {name: row.drug.minimum_mg.get("default") for name, row in drugs.load_antidepressants().items()}
    assert minimum["sertraline"] == 50
    assert minimum["venlafaxine"] == 75
    assert minimum["bupropion"] == 300
    assert minimum["dextromethorphan / bupropion"] == 210
    assert minimum["nefazodone"] is None
    assert minimum["esketamine"] is None


def test_every_code_table_loads_and_codes_are_of_their_system() -> None:
    assert all(code.isdigit() for code in drugs.load_rxnorm())
    assert all(code.isdigit() for code in drugs.load_snomed())
    assert all(code.replace("-", "").isdigit() for code in drugs.load_ndc())
    assert all(len(code) == 7 and code.startswith("N06") for code in drugs.load_atc())


def test_every_antidepressant_product_is_an_antidepressant_of_the_table() -> None:
    for row in rows("rxnorm_products.csv"):
        product = drugs.load_rxnorm()[row["rxcui"]]
        assert (product.antidepressant is not None) == (row["product_role"] == "antidepressant"), row["rxcui"]


def test_every_antidepressant_product_but_packs_has_a_strength() -> None:
    for row in rows("rxnorm_products.csv"):
        if row["product_role"] == "antidepressant" and row["tty"] in ("SCD", "SBD"):
            assert drugs.load_rxnorm()[row["rxcui"]].strength is not None, row["rxcui"]


def test_strengths_in_product_names_agree_with_the_table() -> None:
    for row in rows("rxnorm_products.csv"):
        product = drugs.load_rxnorm()[row["rxcui"]]
        if product.strength and len(product.components) == 1:
            stated = {(s.per, round(s.mg, 3)) for _, s in drugs.strengths_in(row["name"])}
            assert (product.strength.per, round(product.strength.mg, 3)) in stated, row["name"]


def test_every_name_is_found_again_by_its_own_words() -> None:
    for words, product in drugs.load_names().items():
        assert drugs.products_named(words)[0][1] == product, words


def test_the_small_tables_load() -> None:
    assert drugs.load_equivalents()
    assert drugs.load_unspecific_names().anywhere
    assert dosing.load_units()["mg"].factor == 1
    assert dosing.load_sig_phrases()[("twice", "daily")][0].number == 2
    assert reasons.load_indications().phrases
    assert reasons.load_stop_reasons().codes


def test_a_wrong_cell_is_named_with_file_line_column_value_and_what_was_expected() -> None:
    row = Row("antidepressants.csv", 7, {"who_ddd_mg": "twenty"})
    with pytest.raises(
        TableError, match=r"antidepressants\.csv:7: column who_ddd_mg: expected a number, found 'twenty'"
    ):
        row.number("who_ddd_mg")


@pytest.mark.parametrize("cell", ["0", "-5", "inf", "nan"])
def test_a_number_in_a_table_is_above_0_and_finite(cell: str) -> None:
    with pytest.raises(TableError):
        Row("t.csv", 2, {"mg": cell}).number("mg")
