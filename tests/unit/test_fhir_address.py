"""Which addresses count as the same FHIR server, and which look-alikes do not."""

from __future__ import annotations

import pytest

from cds_service.fhir_address import is_fhir_id, read_address, read_link_below

BASE = "https://ehr.example.org/fhir/r4"


@pytest.mark.parametrize(
    ("text", "is_below"),
    [
        ("https://ehr.example.org/fhir/r4", True),
        ("https://ehr.example.org/fhir/r4/", True),
        ("https://EHR.example.org:443/fhir/r4", True),
        ("https://ehr.example.org/fhir/r4/tenant-a", True),
        ("https://ehr.example.org/fhir/r4b", False),
        ("https://ehr.example.org/fhir", False),
        ("https://ehr.example.org/FHIR/r4", False),
        ("http://ehr.example.org/fhir/r4", False),
        ("https://ehr.example.org:8443/fhir/r4", False),
        ("https://ehr.example.org.evil.example/fhir/r4", False),
        ("https://evil-ehr.example.org/fhir/r4", False),
        ("https://ehr.example.org./fhir/r4", False),
    ],
)
def test_below_means_same_server_and_whole_path_segments(text: str, is_below: bool) -> None:
    address, base = read_address(text), read_address(BASE)
    assert address is not None
    assert base is not None
    assert address.is_at_or_below(base) is is_below


@pytest.mark.parametrize(
    "text",
    [
        "https://ehr.example.org@evil.example/fhir/r4",
        "https://evil.example#@ehr.example.org/fhir/r4",
        "https://ehr.example.org/fhir/r4/../../admin",
        "https://ehr.example.org/fhir/./r4",
        "https://ehr.example.org/fhir/r4/%2e%2e/admin",
        "https://ehr.example.org/fhir%2Fr4",
        "https://ehr.example.org\\@evil.example/fhir/r4",
        "https://ehr.example.org/fhir//r4",
        "https://ehr.example.org/fhir/r4?x=1",
        "https://ehr.example.org/fhir/r4\n",
        " https://ehr.example.org/fhir/r4",
        "https://ehr.example.org\t/fhir/r4",
        "https://ehr.example.org:99999/fhir/r4",
        "https://ehr.example.org:/fhir/r4",
        "https://ëhr.example.org/fhir/r4",
        "https://ehr.example.org/fhir/r4/..;/admin",
        "https://ehr.example.org/fhir/r4/.;a=1/admin",
        "https://2130706433/fhir",
        "https://127.1/fhir",
        "https://127.0.1/fhir",
        "https://0177.0.0.1/fhir",
        "https://127.0.0.01/fhir",
        "https://0x7f.0.0.1/fhir",
        "https://0x7f000001/fhir",
        "https://0x/fhir",
        "https://017700000001/fhir",
        "https://256.0.0.1/fhir",
        "https://1.2.3.4.5/fhir",
        "https://127.0.0.1./fhir",
        "https://ehr.example.1/fhir",
        "https://[::1%25lo]/fhir",
        "https://[::1/fhir",
        "https://[1:2:3]/fhir",
        "https://[:::]/fhir",
        "https://./fhir",
        "https://ehr..example.org/fhir",
        "HTTPS://ehr.example.org/fhir/r4",
        "//ehr.example.org/fhir/r4",
        "ftp://ehr.example.org/fhir/r4",
        "https:///fhir/r4",
        "",
        None,
        7,
    ],
)
def test_what_could_be_read_in_two_ways_is_no_address(text: object) -> None:
    assert read_address(text) is None


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://[0:0:0:0:0:0:0:1]/fhir", "http://[::1]/fhir"),
        ("http://[::FFFF:7F00:1]/fhir", "http://[::ffff:7f00:1]/fhir"),
        ("http://[2001:DB8:0::1]:80/fhir", "http://[2001:db8::1]/fhir"),
        ("https://EHR.example.org:443/fhir/", "https://ehr.example.org/fhir"),
        ("https://ehr.example.org:0443/fhir", "https://ehr.example.org/fhir"),
        ("https://xn--hr-bja.example.org/fhir", "https://xn--hr-bja.example.org/fhir"),
        ("https://ehr1.example.org/fhir", "https://ehr1.example.org/fhir"),
        ("https://1password.example/fhir", "https://1password.example/fhir"),
        ("https://0xfhir.example.x0/fhir", "https://0xfhir.example.x0/fhir"),
        ("https://192.0.2.1/fhir;v=4", "https://192.0.2.1/fhir;v=4"),
    ],
)
def test_each_address_has_one_spelling(text: str, url: str) -> None:
    address = read_address(text)
    assert address is not None
    assert read_address(address.url) == address
    assert ip_of(address.url) == ip_of(url)


def ip_of(url: str) -> str:
    """The address with an IPv4 address in IPv6 as hexadecimal: versions of Python write it differently."""
    return url.replace("127.0.0.1", "7f00:1")


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("https://ehr.example.org/fhir/r4?_getpages=a%20b&o=1", f"{BASE}?_getpages=a%20b&o=1"),
        ("https://ehr.example.org/fhir/r4/Condition?page=2", f"{BASE}/Condition?page=2"),
        ("Condition?page=2", f"{BASE}/Condition?page=2"),
        ("/fhir/r4/Condition?page=2", f"{BASE}/Condition?page=2"),
        ("?page=2", f"{BASE}?page=2"),
        ("../r4/Condition?page=2", f"{BASE}/Condition?page=2"),
        ("//evil.example/fhir/r4?page=2", None),
        ("/\\evil.example/fhir/r4?page=2", None),
        ("\\\\evil.example\\fhir\\r4", None),
        ("https:evil.example/fhir/r4", f"{BASE}/evil.example/fhir/r4"),
        ("https://ehr.example.org@evil.example/fhir/r4", None),
        ("https://ehr.example.org/fhir/r4/..;/secret", None),
        ("..;/secret", None),
        ("%2e%2e/secret", None),
        ("javascript:alert(1)", None),
        ("https://evil.example/fhir/r4?page=2", None),
        ("https://ehr.example.org/fhir/r4/../secret?page=2", None),
        ("../../secret", None),
        ("https://ehr.example.org/fhir/r4?page=2#x", None),
        ("https://ehr.example.org/fhir/r4?page=2\r\nX: y", None),
        ("http://[", None),
        ("", None),
        (None, None),
    ],
)
def test_a_page_link_is_followed_only_below_the_base(link: object, url: str | None) -> None:
    base = read_address(BASE)
    assert base is not None
    assert read_link_below(link, base) == url


@pytest.mark.parametrize(
    ("text", "is_loopback"),
    [
        ("http://localhost:8080/fhir", True),
        ("http://127.0.0.1/fhir", True),
        ("http://127.8.9.1/fhir", True),
        ("http://[::1]:8080/fhir", True),
        ("http://127.evil.example/fhir", False),
        ("http://localhost.evil.example/fhir", False),
        ("http://10.0.0.1/fhir", False),
    ],
)
def test_loopback_is_this_machine_only(text: str, is_loopback: bool) -> None:
    address = read_address(text)
    assert address is not None
    assert address.is_loopback is is_loopback


@pytest.mark.parametrize("text", ["p1", "A-b.C", "p" * 64, "1.2.840"])
def test_ids(text: str) -> None:
    assert is_fhir_id(text)


@pytest.mark.parametrize("text", ["", ".", "..", "p" * 65, "a/b", "a_b", "a b", "é", "p1\n", None, 3])
def test_not_ids(text: object) -> None:
    assert not is_fhir_id(text)
