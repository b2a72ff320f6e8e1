"""The command: what it prints, where to, and its exit status."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.conform.checking import free_port
from tests.contract.stub_server import Asked, Reply
from tests.doctor.servers import changed_server, fixture_server, refusing

TOKEN = "a-token-that-nobody-may-see"
PINNED = Path(__file__).with_name("report.txt")


def trd_cds(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cds_service", "doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def doctor(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return trd_cds("--fhir-server", url, "--on", "2026-06-30", *arguments)


def test_a_server_that_can_feed_the_rules_gives_0_and_this_report() -> None:
    with fixture_server() as url:
        done = doctor(url, "--patient", "trd-v07", "--patient", "Patient/trd-v19", "--patient", "trd-v07")
    shown = re.sub(r"\d+\.\d\d s\b", "0.00 s", done.stdout.replace(url, "https://fhir.example.org"))
    assert shown == PINNED.read_text("utf-8")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_server_that_cannot_gives_1_and_says_why() -> None:
    with changed_server(refusing("Condition")) as server:
        done = doctor(server.base_url, "--report", "json")
    shown = json.loads(done.stdout)
    assert (done.returncode, done.stderr, shown["canWork"]) == (1, "", False)
    assert "Condition search: answered 404 (not-supported)" in shown["whyNot"]


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (
            ("--fhir-server", f"http://127.0.0.1:{free_port()}/fhir"),
            4,
            "could not be reached for the metadata",
        ),
        (("--fhir-server", "http://no-such-host.invalid/fhir"), 4, "could not be reached for the metadata"),
        (("--fhir-server", "ftp://127.0.0.1/x"), 3, "expected a plain http or https base address"),
        (("--fhir-server", "http://127.0.0.1/fhir?x=1"), 3, "expected a plain http or https base address"),
        (("--fhir-server", "http://127.0.0.1:9", "--patient", "a b"), 3, "expected a bare FHIR id"),
        (("--fhir-server", "http://127.0.0.1:9", "--patient", "a", "--sample", "3"), 2, "either --patient"),
        (("--fhir-server", "http://127.0.0.1:9", "--sample", "0"), 2, "--sample"),
        (("--fhir-server", "http://127.0.0.1:9", "--report", "pdf"), 2, "pdf"),
        (("--fhir-server", "http://127.0.0.1:9", "--seconds", "0"), 2, "--seconds"),
        (("--fhir-server", "http://127.0.0.1:9", "--fetch-seconds", "0"), 2, "--fetch-seconds"),
        (("--fhir-server", "http://127.0.0.1:9", "--output", "no/where/x.json"), 2, "cannot be written"),
        (("--fhir-server", "http://127.0.0.1:9", "--token-file", "nowhere.txt"), 2, "nowhere.txt"),
        ((), 2, "--fhir-server"),
    ],
)
def test_what_is_wrong_is_one_line(arguments: tuple[str, ...], status: int, told: str) -> None:
    done = trd_cds(*arguments)
    assert done.returncode == status
    assert told in done.stderr
    assert done.stdout == "" and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_a_token_is_sent_and_never_shown(form: str, tmp_path: Path) -> None:
    (tmp_path / "token.txt").write_text(f"{TOKEN}\n", encoding="utf-8")
    with fixture_server(require_token=TOKEN) as url:
        done = doctor(url, "--token-file", str(tmp_path / "token.txt"), "--report", form)
        without = doctor(url, "--patient", "trd-v01", "--report", form)
    assert done.returncode == 0 and TOKEN not in done.stdout + done.stderr
    assert without.returncode == 1 and "answered 401" in without.stdout


@pytest.mark.parametrize("way", ["option", "environment"])
def test_a_token_given_itself(way: str) -> None:
    arguments = ("--token", TOKEN) if way == "option" else ()
    environment = {**os.environ, "TRD_CDS_DOCTOR_TOKEN": TOKEN if way == "environment" else "another"}
    with fixture_server(require_token=TOKEN) as url:
        command = [sys.executable, "-m", "cds_service", "doctor", "--fhir-server", url, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0 and TOKEN not in done.stdout + done.stderr


def test_a_token_that_is_none_is_not_repeated() -> None:
    done = trd_cds("--fhir-server", "http://127.0.0.1:9", "--token", "two words")
    assert (done.returncode, done.stdout) == (3, "") and "words" not in done.stderr


def test_ctrl_c_ends_it_at_once() -> None:
    asked = threading.Event()

    def change(request: Asked) -> Reply | None:
        if request.path.startswith("Observation?"):
            asked.set()
            time.sleep(60)
        return None

    with changed_server(change) as server:
        command = [sys.executable, "-m", "cds_service", "doctor", "--fhir-server", server.base_url]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert asked.wait(30)
        running.send_signal(signal.SIGINT)
        shown, told = running.communicate(timeout=20)
    assert (running.returncode, shown, told) == (130, "", "trd-cds: stopped, without a report\n")


@pytest.mark.parametrize("content", [b"", b"two\nlines-of-a-token", b"a token", b"\xff\xfe-a-token"])
@pytest.mark.parametrize("command", ["doctor", "assess"])
def test_a_file_that_holds_no_token(content: bytes, command: str, tmp_path: Path) -> None:
    (tmp_path / "token.txt").write_bytes(content)
    arguments = [
        "--fhir-server",
        "http://127.0.0.1:9",
        "--patient",
        "p",
        "--token-file",
        str(tmp_path / "token.txt"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "cds_service", command, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr == (
        "trd-cds: token file: expected one token of visible ASCII characters and nothing else\n"
    )


def test_a_token_is_not_sent_in_the_clear(tmp_path: Path) -> None:
    (tmp_path / "token.txt").write_text(TOKEN, encoding="utf-8")
    done = doctor("http://fhir.invalid", "--token-file", str(tmp_path / "token.txt"))
    assert done.returncode == 4 and "a token is sent over https only" in done.stderr
    assert TOKEN not in done.stderr


def test_a_report_goes_to_a_file(tmp_path: Path) -> None:
    with fixture_server() as url:
        done = doctor(url, "--report", "json", "--output", str(tmp_path / "report.json"))
        refused = doctor(url, "--output", str(tmp_path / "nowhere" / "report.json"))
    assert (done.returncode, done.stdout) == (0, "")
    assert json.loads((tmp_path / "report.json").read_text("utf-8"))["canWork"]
    assert refused.returncode == 2 and "cannot be written" in refused.stderr


def test_progress_shows_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    with fixture_server() as url:
        command = [
            sys.executable,
            "-m",
            "cds_service",
            "doctor",
            "--fhir-server",
            url,
            "--patient",
            "trd-v01",
        ]
        environment = {**os.environ, "TERM": "xterm"}
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, check=False, env=environment)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "Examining the FHIR server" in shown
    assert b"Examining" not in done.stdout


def test_help_tells_the_exit_statuses() -> None:
    done = trd_cds("--help")
    assert done.returncode == 0 and "4 the server could not be reached" in " ".join(done.stdout.split())
