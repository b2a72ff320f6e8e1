"""Whether the way to the server is encrypted, and how long its certificate is still good."""

from __future__ import annotations

import os
import socket
import ssl
import time
from pathlib import Path

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from cds_service.doctor.results import Check, Outcome
from cds_service.fhir_address import FhirAddress

_DAYS_LEFT_THAT_ARE_FEW = 14
_SECONDS_A_DAY = 86_400
_LONGEST_HANDSHAKE = 10.0
_ID, _TITLE = "tls", "TLS"


def check_tls(base: FhirAddress, seconds: float, authorities: str | None = None) -> Check:
    """A handshake with the server. `authorities` is a file of certificates to trust; as for the calls unless given."""
    if base.scheme == "http":
        return _of_plain_http(base)
    begun = time.perf_counter()
    try:
        trusted = authorities or _authorities(base)
        days, version = _shake_hands(base, min(seconds, _LONGEST_HANDSHAKE), trusted)
    except ssl.SSLCertVerificationError as error:
        said = f"the certificate is not trusted: {error.verify_message.rstrip('.')}"
        to_do = _TO_DO.get(error.verify_code, _USE_HTTP if base.is_loopback else _TRUST_IT)
        return Check(_ID, _TITLE, Outcome.FAILS, said, to_do, is_required=True)
    except (OSError, ValueError) as error:
        said = f"no handshake could be made directly ({type(error).__name__})"
        return Check(_ID, _TITLE, Outcome.NOT_TRIED, said, "Behind a proxy this is normal.")
    said = f"{version}, certificate trusted, good for {days} more days"
    seconds_taken = time.perf_counter() - begun
    if days < _DAYS_LEFT_THAT_ARE_FEW:
        return Check(_ID, _TITLE, Outcome.LIMITED, said, "Renew the certificate.", seconds=seconds_taken)
    return Check(_ID, _TITLE, Outcome.WORKS, said, seconds=seconds_taken)


_TRUST_IT = (
    "Have the server send a valid certificate with its intermediates. For an authority of your own, let "
    "REQUESTS_CA_BUNDLE name the file with its certificate, here and where the service runs."
)

_USE_HTTP = "Certificates of servers on this machine are trusted only if a known authority signed them: use plain http."
_OTHER_NAME = (
    "Give the address by a name that its certificate has, or have the certificate made for this name."
)
_TO_DO = {10: "Renew the certificate.", 62: _OTHER_NAME, 64: _OTHER_NAME}  # by OpenSSL's X509_V_ERR_ numbers


def _of_plain_http(base: FhirAddress) -> Check:
    if base.is_loopback:
        return Check(_ID, _TITLE, Outcome.WORKS, "plain http, on this machine only")
    to_do = "Give the https address: the service calls plain http only with allow_plain_http, and sends no token there."
    return Check(_ID, _TITLE, Outcome.LIMITED, "plain http: anyone on the way can read it", to_do)


def _authorities(base: FhirAddress) -> str:
    """The certificates that the calls trust: those on this machine are made without regard to the environment."""
    if base.is_loopback:
        return str(DEFAULT_CA_BUNDLE_PATH)
    return (
        os.environ.get("REQUESTS_CA_BUNDLE")
        or os.environ.get("CURL_CA_BUNDLE")
        or str(DEFAULT_CA_BUNDLE_PATH)
    )


def _shake_hands(base: FhirAddress, seconds: float, authorities: str) -> tuple[int, str]:
    """How many days the certificate is still good, and the version of TLS."""
    in_directory = Path(authorities).is_dir()
    context = ssl.create_default_context(
        cafile=None if in_directory else authorities, capath=authorities if in_directory else None
    )
    host = base.host.strip("[]")
    with (
        socket.create_connection((host, base.port), timeout=seconds) as connection,
        context.wrap_socket(connection, server_hostname=host) as encrypted,
    ):
        certificate, version = encrypted.getpeercert() or {}, encrypted.version() or "TLS"
    until = ssl.cert_time_to_seconds(str(certificate.get("notAfter")))
    return int((until - time.time()) // _SECONDS_A_DAY), version
