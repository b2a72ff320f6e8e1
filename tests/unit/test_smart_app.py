"""The launch URL of the site's SMART app: checked before the service starts."""

from __future__ import annotations

import pytest

from cards.card import is_launch_address
from cds_service.settings import Settings, find_problems

NAME = "TRD_CDS_SMART_APP_URL"
FINE = [
    "https://app.example.org/launch.html",
    "https://app.example.org:8443/launch?site=7&launcher=x",
    "https://app.example.org",
]
ON_THIS_MACHINE = ["http://127.0.0.1:3000/launch", "http://localhost/launch", "http://[::1]/launch"]
WRONG = [
    "http://app.example.org/launch",
    "//app.example.org/launch",
    "/launch",
    "app.example.org/launch",
    "https:///launch",
    "javascript:alert(1)",
    "ftp://app.example.org/launch",
    "https://app.example.org/launch?iss=https://ehr.example.org/fhir",
    "https://app.example.org/launch?launch=",
    "https://app.example.org/launch?x=1&launch=abc",
    "https://app.example.org/#/launch",
    "https://user:secret@app.example.org/launch",
    "https://app.example.org/a b",
    "https://app.example.org/\n",
    "https://äpp.example.org/launch",
    "https://[app/launch",
    "",
]


def problems(url: str | None, mode: str = "development") -> list[str]:
    return [problem for problem in find_problems(Settings(smart_app_url=url, mode=mode)) if NAME in problem]


@pytest.mark.conformance("CH-612", "CH-614")
@pytest.mark.parametrize("url", [None, *FINE, *ON_THIS_MACHINE])
def test_launch_addresses(url: str | None) -> None:
    assert problems(url) == []
    assert url is None or is_launch_address(url)


@pytest.mark.conformance("CH-612", "CH-614")
@pytest.mark.parametrize("url", WRONG)
@pytest.mark.parametrize("mode", ["development", "production"])
def test_what_is_no_launch_address_stops_the_start(url: str, mode: str) -> None:
    (problem,) = problems(url, mode)
    assert "expected an absolute https address" in problem
    assert "secret" not in problem


@pytest.mark.parametrize("url", FINE)
def test_https_is_fine_in_production(url: str) -> None:
    assert problems(url, "production") == []


@pytest.mark.conformance("CH-612")
@pytest.mark.parametrize("url", ON_THIS_MACHINE)
def test_production_links_to_https_only(url: str) -> None:
    assert problems(url, "production") == [f"{NAME}: expected https in production"]
