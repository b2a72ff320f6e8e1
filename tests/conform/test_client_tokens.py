"""A service behind a door: without a key nothing can be tried, with one every fault of the door is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from cds_service.conform.client_tokens import OF_TOKENS
from cds_service.conform.results import Status
from cds_service.conform.signing import Signer, read_signer
from cds_service.errors import InputError
from tests.conform.checking import failed, report_on_sample, status_of, why
from tests.conform.door import FAULTS_OF_THE_DOOR, Door

ISSUER = "https://ehr.example.org"


@pytest.fixture(scope="module")
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


@pytest.fixture(scope="module")
def signer(key: ec.EllipticCurvePrivateKey, tmp_path_factory: pytest.TempPathFactory) -> Signer:
    file = tmp_path_factory.mktemp("keys") / "client.json"
    file.write_text(json.dumps(json.loads(ECAlgorithm.to_jwk(key)) | {"kid": "k1"}))
    return read_signer(file, ISSUER)


def door(key: ec.EllipticCurvePrivateKey, *faults: str) -> Door:
    return Door(key.public_key(), "k1", ISSUER, frozenset(faults))


def test_a_sound_door_keeps_every_stranger_out(key: ec.EllipticCurvePrivateKey, signer: Signer) -> None:
    report = report_on_sample(door=door(key), signer=signer)
    assert failed(report) == {}
    status = status_of(report)
    assert {rule for rule in OF_TOKENS if status[rule] is not Status.PASSED} == set()
    assert status["CH-114"] is status["CH-801"] is status["CH-710"] is Status.PASSED


@pytest.mark.parametrize("fault", FAULTS_OF_THE_DOOR)
def test_a_fault_of_the_door_is_found(key: ec.EllipticCurvePrivateKey, signer: Signer, fault: str) -> None:
    found = failed(report_on_sample(door=door(key, fault), signer=signer))
    assert set(found) == FAULTS_OF_THE_DOOR[fault], found


def test_without_a_key_it_says_what_it_needs(key: ec.EllipticCurvePrivateKey) -> None:
    report = report_on_sample(door=door(key))
    assert failed(report) == {}
    assert "--jwk" in why(report, "CH-803")
    assert "--jwk" in why(report, "CH-505")


def test_an_issuer_that_the_service_does_not_know(key: ec.EllipticCurvePrivateKey, signer: Signer) -> None:
    stranger = Signer(signer.key, signer.key_type, signer.key_id, "https://other.example.org")
    report = report_on_sample(door=door(key), signer=stranger)
    assert status_of(report)["CH-803"] is Status.NOT_TRIED


def test_keys_of_both_kinds_are_read(tmp_path: Path) -> None:
    file = tmp_path / "rsa.json"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file.write_text(json.dumps(json.loads(RSAAlgorithm.to_jwk(key)) | {"kid": "r"}))
    assert read_signer(file, ISSUER).algorithm == "RS384"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "JSON"),
        ("[]", "kty, kid and d"),
        ({"kty": "EC", "kid": "1"}, "kty, kid and d"),
        ({"kty": "oct", "kid": "1", "d": "x"}, "EC or RSA"),
        ({"kty": "EC", "kid": "1", "d": "x", "crv": "P-384", "x": "AA", "y": "AA"}, "P-384 or RSA"),
    ],
)
def test_what_is_no_key_is_told(tmp_path: Path, content: Any, told: str) -> None:
    file = tmp_path / "key.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(InputError, match=told):
        read_signer(file, ISSUER)


def test_a_key_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_signer(tmp_path / "nothing.json", ISSUER)
