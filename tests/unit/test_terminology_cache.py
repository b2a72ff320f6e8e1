"""How long answers of a terminology service hold, and where they are kept."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from cds_service import terminology_cache
from cds_service.fhir_reading.code_names import KnownName
from cds_service.terminology_cache import Answer, TerminologyCache, default_cache_file

CODE, OTHER = ("http://example.org/drugs", "A1"), ("http://example.org/drugs", "A2")
NAME = KnownName("https://tx.example.org", "sertraline", ("sertraline",), (("http://example.org", "1"),))


def test_an_answer_holds_for_its_time_in_memory_and_on_disk(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "names.sqlite3"
    cache = TerminologyCache("server", file)
    cache.keep({CODE: Answer(NAME, 0.3), OTHER: Answer(None, 60)})
    for holding in (cache, TerminologyCache("server", file)):
        assert holding.find([CODE, OTHER]) == {CODE: NAME, OTHER: None}
    time.sleep(0.35)
    for holding in (cache, TerminologyCache("server", file)):
        assert holding.find([CODE, OTHER]) == {OTHER: None}


def test_what_one_server_said_is_not_what_another_says(tmp_path: Path) -> None:
    file = tmp_path / "names.sqlite3"
    TerminologyCache("server", file).keep({CODE: Answer(NAME, 60)})
    assert TerminologyCache("another", file).find([CODE]) == {}


def test_without_a_file_memory_is_enough() -> None:
    cache = TerminologyCache("server", None)
    cache.keep({CODE: Answer(NAME, 60)})
    assert cache.find([CODE, OTHER]) == {CODE: NAME}


def test_neither_memory_nor_file_grows_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminology_cache, "MOST_IN_MEMORY", 10)
    monkeypatch.setattr(terminology_cache, "MOST_ON_DISK", 20)
    file = tmp_path / "names.sqlite3"
    codes = [("http://example.org/drugs", f"A{number}") for number in range(30)]
    cache = TerminologyCache("server", file)
    for number, code in enumerate(codes):
        cache.keep({code: Answer(None, 100 + number)})
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM names").fetchone() == (20,)
    assert list(TerminologyCache("server", None).find(codes)) == []
    assert set(TerminologyCache("server", file).find(codes)) == set(codes[10:])
    file.unlink()
    assert set(cache.find(codes)) == set(codes[20:])


def test_the_file_lies_in_the_users_cache_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_cache_file() == Path("/somewhere/trd-cds/terminology.sqlite3")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/user")
    assert default_cache_file() == Path("/home/user/.cache/trd-cds/terminology.sqlite3")
