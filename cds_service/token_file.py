"""The bearer token that a user names a file of."""

from __future__ import annotations

import re
from typing import TextIO

from cds_service.errors import InputError

_TOKEN = re.compile(r"[!-~]+", re.ASCII)  # what can stand in an HTTP header


def read_token(file: TextIO | None) -> str | None:
    """The token in `file`, None without a file. Raises InputError, which does not repeat what is there instead."""
    if file is None:
        return None
    try:
        token = file.read().strip()
    except ValueError:  # not text
        token = ""
    if not _TOKEN.fullmatch(token):
        raise InputError("token file: expected one token of visible ASCII characters and nothing else")
    return token
