"""Every row of the drug tables: readable, sourced, and consistent with the others."""

from __future__ import annotations

import csv
import re
from importlib.resources import files

import pytest

from cds_service.errors import TableError
from cds_service.fhir_reading.drug_names import is_one_slip
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
    "drug_misspellings.csv": ("source",),
    "event_timings.csv": ("source",),
    "indications.csv": ("source",),
    "metered_doses.csv": ("source",),
    "ndc_products.csv": ("source",),
    "rxnorm_concepts.csv": ("source",),
    "rxnorm_products.csv": ("source",),
    "sig_phrases.csv": ("source",),
    "sig_phrases_other_languages.csv": ("source",),
    "snomed_antidepressants.csv": ("source",),
    "stop_reasons.csv": ("source",),
    "time_units.csv": ("source",),
    "timing_codes.csv": ("source",),
    "unspecific_drug_names.csv": ("source",),
}
MAY_LACK = {("antidepressants.csv", "label_source"), ("antidepressants.csv", "ddd_source")}


def rows(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(TABLES.joinpath(table).read_text("utf-8").splitlines()))


def rxnorm(code: str) -> drugs.Product:
    product = drugs.rxnorm_product(code)
    assert product is not None, code
    return product


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
    for table in TABLES.iterdir():
        if table.name.endswith((".csv", ".json")):
            assert "UTD" not in table.read_text("utf-8"), table.name


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
    assert all(code.isdigit() for code in drugs.rxnorm_codes())
    assert all(code.isdigit() for code in drugs.snomed_codes())
    assert all(code.isdigit() and len(code) == 11 for code in drugs.ndc_codes())
    elsewhere = {code for code in drugs.load_atc() if len(code) != 7 or not code.startswith("N06")}
    assert elsewhere == {"N04BD01", "A08AA62"}  # oral selegiline; bupropion with naltrexone


def test_every_antidepressant_product_is_an_antidepressant_of_the_table() -> None:
    for row in rows("rxnorm_products.csv"):
        product = rxnorm(row["rxcui"])
        assert (product.antidepressant is not None) == (row["product_role"] == "antidepressant"), row["rxcui"]


def test_every_antidepressant_product_but_packs_has_a_strength() -> None:
    for row in rows("rxnorm_products.csv"):
        if row["product_role"] == "antidepressant" and row["tty"] in ("SCD", "SBD"):
            assert rxnorm(row["rxcui"]).strength is not None, row["rxcui"]


def test_strengths_in_product_names_agree_with_the_table() -> None:
    for row in rows("rxnorm_products.csv"):
        product = rxnorm(row["rxcui"])
        if product.strength and len(product.components) == 1:
            stated = {(s.per, round(s.mg, 3)) for _, s in drugs.strengths_in(row["name"])}
            assert (product.strength.per, round(product.strength.mg, 3)) in stated, row["name"]


def test_every_row_of_the_tables_read_by_code_can_be_read() -> None:
    """They are checked row by row, when asked for; so here every row is asked for."""
    for row in rows("rxnorm_products.csv"):
        assert rxnorm(row["rxcui"]).name == row["name"]
    for row in rows("snomed_antidepressants.csv"):
        product = drugs.snomed_product(row["code"])
        assert product is not None, row["code"]
        assert product.name == row["name"]
    for row in rows("ndc_products.csv"):
        package, whole = drugs.ndc_product(row["ndc11"]), drugs.ndc_product(row["ndc11"][:9])
        assert package is not None, row["ndc11"]
        assert whole is not None, row["ndc11"]
        assert (package.components, package.strength) == (whole.components, whole.strength), row["ndc11"]


def test_package_and_product_codes_of_the_ndc_table_belong_together() -> None:
    for row in rows("ndc_products.csv"):
        labeller, product = row["product_ndc"].split("-")
        assert row["ndc11"][:9] == labeller.zfill(5) + product.zfill(4), row["ndc11"]


@pytest.mark.parametrize("code", ["1653470", "1653469", "1433249", "2119389"])
def test_what_a_pack_holds_stands_in_its_name(code: str) -> None:
    product = rxnorm(code)
    pieces = [float(count) for count in re.findall(r"(\d+) \(", product.name)]
    assert [part.pieces for part in product.contents] == pieces


def test_every_pack_of_an_antidepressant_tells_its_contents_and_no_single_strength() -> None:
    for row in rows("rxnorm_products.csv"):
        if row["product_role"] == "antidepressant" and row["tty"] in ("GPCK", "BPCK"):
            assert rxnorm(row["rxcui"]).contents, row["rxcui"]
            assert rxnorm(row["rxcui"]).strength is None, row["rxcui"]


def test_a_misspelling_is_one_slip_from_no_other_drug() -> None:
    """Else it could be either."""
    names = {words[0]: product for words, product in drugs.load_names().items() if len(words) == 1}
    misspellings = {row["misspelling"] for row in rows("drug_misspellings.csv")}
    assert len(misspellings) == len(rows("drug_misspellings.csv"))
    for misspelling in misspellings:
        meant = names[misspelling]
        assert meant.antidepressant, misspelling
        for name, product in names.items():
            if product.components != meant.components:
                assert not is_one_slip(misspelling, name), (misspelling, name)


def test_mg_of_a_drop_or_spray_do_not_exceed_those_of_a_millilitre() -> None:
    for dose in drugs.load_metered_doses():
        assert dose.mg_each < dose.mg_per_ml, dose


def test_every_name_is_found_again_by_its_own_words() -> None:
    for words, product in drugs.load_names().items():
        assert [named.product for named in drugs.products_named(words)] == [product], words


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
