"""The body of a request, bounded."""

from __future__ import annotations

from flask import request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, UnsupportedMediaType

from cds_service.errors import PayloadTooLarge, RequestError

_DISCARD_TIMES = 4  # how many times the largest body is read and thrown away before the line is cut


def read_body(largest: int) -> bytes:
    """The body, whatever its declared type: some clients send JSON as text.

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
        return body
    if request.content_length is None:
        _discard_body(largest * _DISCARD_TIMES)
    raise PayloadTooLarge(_too_large(largest))


def _discard_body(left: int) -> None:
    """Reads and forgets up to so many bytes: a client that is still sending would not see the reply."""
    while left > 0 and (chunk := request.environ["wsgi.input"].read(min(left, 1 << 16))):
        left -= len(chunk)


def _too_large(largest: int) -> str:
    return f"The request body is larger than {largest} bytes, the limit set by TRD_CDS_MAX_BODY_MB."
