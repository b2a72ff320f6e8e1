"""Binds the address to serve on, so that a port that is taken is one line to the user."""

from __future__ import annotations

import os
import socket

from cds_service.errors import SettingsError

BACKLOG = 512


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, on a free port if `port` is 0. Raises SettingsError.

    Neither gunicorn nor werkzeug tells the caller that it could not bind: both end the process.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((str(address[0]), port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise cannot_listen(host, port, error) from None


def cannot_listen(host: str, port: int, error: OSError) -> SettingsError:
    is_from_system = error.errno is not None and error.errno > 0  # not so for names that do not resolve
    reason = os.strerror(error.errno or 0) if is_from_system else error.strerror
    return SettingsError(f"cannot listen on {host}:{port}: {reason}; choose another host or port")
