"""What can go wrong, by whose fault it is and what the caller can do. Clinical doubt is never an exception."""

from __future__ import annotations


class TrdCdsError(Exception):
    """A failure that a user is told about in one line: what was expected, what came, where."""


class RequestError(TrdCdsError):
    """The caller's body, hook or context is wrong (HTTP 400). The text names the JSON path."""


class PayloadTooLarge(RequestError):
    """The request body is larger than the setting allows (HTTP 413)."""


class UnknownService(TrdCdsError):
    """No service has this id (HTTP 404)."""


class NotAuthenticated(TrdCdsError):
    """The caller did not show who it is, or may not do this (HTTP 401). The text is for the log only.

    `kind` is one word of few, to be counted: token (none, or none that can be read), header, issuer, audience,
    time, claim, tenant, scope, key, signature, replay.
    """

    def __init__(self, message: str, kind: str = "token") -> None:
        super().__init__(message)
        self.kind = kind


class TooManyRequests(TrdCdsError):
    """This client calls too often (HTTP 429), to be tried again after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Overloaded(TooManyRequests):
    """The service has more to do than it can (HTTP 503), to be tried again after `retry_after` seconds."""


class StoreError(TrdCdsError):
    """The store of feedback could not be reached or written (HTTP 503): nothing was kept."""


class ServiceUnreachable(TrdCdsError):
    """The CDS service that is to be checked could not be reached (exit status 4)."""


class InputError(TrdCdsError):
    """A file cannot be read as FHIR (exit status 3). The text names file, line or JSON path."""


class MissingEvidence(TrdCdsError):
    """Data the verdict needs came neither from the prefetch nor from a FHIR server (HTTP 412)."""

    def __init__(self, keys: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.keys = keys


class FhirServerError(TrdCdsError):
    """A FHIR server could not be reached, refused, or answered something unusable (exit status 4)."""


class FhirTemporaryError(FhirServerError):
    """Trying again may help: time-outs, 429, 502, 503, 504, a dropped connection."""


class FhirFatalError(FhirServerError):
    """Trying again will not help: refused, not found, not FHIR, outside the allow-list."""


class NotOffered(FhirFatalError):
    """The server has no such type of resource, or does not let this request see it."""


class SettingsError(TrdCdsError):
    """A setting is unknown or has a bad value; the service does not start (exit status 2)."""


class TableError(TrdCdsError):
    """A row of the project's own tables is wrong; the service does not start."""
