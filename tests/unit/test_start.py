"""What a start loads and reads: only what the settings need, and all that the first call needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

LOADED = """
import sys
from cds_service.app import create_app
from cds_service.serving import serve
from cds_service.settings import load_settings
create_app(load_settings())
print(*[name for name in sys.argv[1].split() if name in sys.modules])
"""

NOT_READ = """
import inspect, json, sys
from functools import _lru_cache_wrapper
from cds_service.app import create_app
from cds_service.settings import load_settings
create_app(load_settings())
tables = {
    f"{module.__name__}.{name}": function.cache_info().currsize > 0
    for module in list(sys.modules.values())
    if module.__name__.startswith(("cds_service.tables", "cds_service.fhir_reading", "cards."))
    for name, function in vars(module).items()
    if isinstance(function, _lru_cache_wrapper) and not inspect.signature(function).parameters
}
print(json.dumps(tables))
"""

TOKENS = ("jwt", "cryptography")
OTHERS = (
    "fhir.resources",
    "jsonschema",
    "sqlalchemy.dialects.postgresql",
    "psycopg",
    "alembic",
    "opentelemetry",
    "lxml",
)


def run(script: str, folder: Path, *arguments: str, **settings: str) -> str:
    """What the script prints, with a store that is there already."""
    environment = {"TRD_CDS_STORE_URL": f"sqlite:///{folder}/store.sqlite3", **settings}
    command = [sys.executable, "-c", script, *arguments]
    for _ in ("makes the store", "finds it"):
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip()


def test_a_start_loads_nothing_that_the_settings_do_not_need(tmp_path: Path) -> None:
    assert run(LOADED, tmp_path, " ".join((*TOKENS, *OTHERS))) == ""


def test_a_start_that_needs_tokens_loads_what_reads_them(tmp_path: Path) -> None:
    needed = {"TRD_CDS_REQUIRE_CLIENT_AUTH": "true", "TRD_CDS_SANDBOX_CLIENT": "true"}
    assert run(LOADED, tmp_path, " ".join((*TOKENS, *OTHERS)), **needed) == " ".join(TOKENS)


def test_every_table_is_read_before_the_first_call(tmp_path: Path) -> None:
    tables = json.loads(run(NOT_READ, tmp_path))
    assert len(tables) > 30
    assert [name for name, is_read in tables.items() if not is_read] == []


def test_collections_begin_once_all_is_loaded() -> None:
    script = """
import gc
from cds_service.app import settle_memory
gc.disable()
settle_memory()
print(gc.isenabled(), gc.get_freeze_count() > 50_000)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


@pytest.mark.parametrize("port", ["99999", "80000"])
def test_a_start_that_is_refused_leaves_collections_on(port: str) -> None:
    script = f"""
import gc
from click.testing import CliRunner
from cds_service.cli import commands
result = CliRunner(env={{"TRD_CDS_PORT": "{port}"}}).invoke(commands, ["serve"])
print(gc.isenabled(), result.exit_code)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "True"
    assert done.stdout.split()[1] != "0"
