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
        token = file.read()
    except ValueError:  # not text
        token = ""
    return check_token(token, "token file")


def check_token(token: str, what: str) -> str:
    """The token without spaces around it. Raises InputError, which names `what` it came from."""
    if not _TOKEN.fullmatch(token.strip()):
        raise InputError(f"{what}: expected one token of visible ASCII characters and nothing else")
    return token.strip()
