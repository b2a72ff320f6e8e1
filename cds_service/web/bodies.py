"""The body of a request, bounded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import g, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, UnsupportedMediaType

from cds_service.errors import PayloadTooLarge, RequestError
from cds_service.json_depth import is_deeper

_DISCARD_TIMES = 4  # how many times the largest body is read and thrown away before the line is cut


def read_body(largest: int, deepest: int = 100) -> bytes:
    """The body, whatever its declared type: some clients send JSON as text.

    `largest` is in bytes, `deepest` in levels of objects and arrays. Raises RequestError.
    One byte more than allowed is let in, since of a chunked body werkzeug silently keeps what fits.
    """
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType
    request.max_content_length = largest + 1
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:  # by its declared length: nothing was read yet
        _discard_body(min(request.content_length or 0, largest * _DISCARD_TIMES))
        raise PayloadTooLarge(_too_large(largest)) from None
    except (OSError, ClientDisconnected):
        raise RequestError("$: expected the whole body, but it broke off or its chunks are wrong") from None
    if len(body) < (request.content_length or 0):
        raise RequestError("$: expected as many bytes as Content-Length says, got fewer")
    if len(body) <= largest:
        g.request_bytes = len(body)
        return _not_too_deep(body, deepest)
    if request.content_length is None:
        _discard_body(largest * _DISCARD_TIMES)
    raise PayloadTooLarge(_too_large(largest))


def _not_too_deep(body: bytes, deepest: int) -> bytes:
    if is_deeper(body, deepest):
        raise RequestError(
            f"$: expected at most {deepest} nested levels, the limit set by TRD_CDS_MAX_DEPTH, got more"
        )
    return body


def _discard_body(left: int) -> None:
    """Reads and forgets up to so many bytes: a client that is still sending would not see the reply."""
    while left > 0 and (chunk := request.environ["wsgi.input"].read(min(left, 1 << 16))):
        left -= len(chunk)


def _too_large(largest: int) -> str:
    return f"The request body is larger than {largest} bytes, the limit set by TRD_CDS_MAX_BODY_MB."


def refuse_too_many_resources(prefetched: Iterable[Any], most: int) -> None:
    """Raises PayloadTooLarge where the Bundles among these values have more than `most` entries together."""
    lists = (value.get("entry") for value in prefetched if isinstance(value, dict))
    if sum(len(entries) for entries in lists if isinstance(entries, list)) > most:
        raise PayloadTooLarge(
            f"The prefetch and drafts hold more than {most} resources, the limit set by TRD_CDS_MAX_RESOURCES."
        )
