"""Who calls, found out before anything else of a call is looked at: `flask.g.caller`."""

from __future__ import annotations

from flask import Flask, g, request

from cds_service.errors import NotAuthenticated
from cds_service.security.callers import ANYONE, DISCOVERY, FEEDBACK
from cds_service.web.site import Site

BASE = "/cds-services"


def add_admission(app: Flask, site: Site) -> None:
    """Every path at or below /cds-services needs a token, whether there is such a service or not."""

    @app.before_request
    def admit() -> None:
        g.caller = ANYONE
        if site.gate is None:
            return
        scope = _scope(request.path)
        if scope is None or request.method == "OPTIONS":
            return
        if scope == DISCOVERY and not site.settings.authenticate_discovery:
            return
        g.caller = site.gate.admit(_authorization(), _endpoint(site, request.path), scope)


def _scope(path: str) -> str | None:
    """What a client needs for this path: a service's id, `feedback`, `discovery`, None for open paths."""
    if path != BASE and not path.startswith(f"{BASE}/"):
        return None
    service, *below = path.removeprefix(BASE).strip("/").split("/")
    if below == ["feedback"]:
        return FEEDBACK
    return service or DISCOVERY


def _endpoint(site: Site, path: str) -> str:
    """The address as clients know it, from the settings: what the request says of host and scheme is not asked."""
    return site.settings.base_url + path.removesuffix("/")


def _authorization() -> str | None:
    given = request.headers.getlist("Authorization")
    if len(given) > 1:
        raise NotAuthenticated("expected one Authorization header")
    return given[0] if given else None
