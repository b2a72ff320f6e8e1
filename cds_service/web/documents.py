"""What tells people and programs about the service: its page and its schemas."""

from __future__ import annotations

from importlib import resources

import msgspec
from flask import Flask, Response, render_template

from cds_service.openapi import openapi_document
from cds_service.web.replies import json_reply, refusal
from cds_service.web.site import Site


def add_document_routes(app: Flask, site: Site) -> None:
    schemas = _load_schemas()

    @app.get("/schemas/", strict_slashes=False)
    def list_schemas() -> Response:
        return json_reply(msgspec.json.encode({"schemas": [f"/schemas/{name}" for name in schemas]}))

    @app.get("/schemas/<name>")
    def show_schema(name: str) -> Response:
        if name not in schemas:
            return refusal(404, "not-found", "There is no schema of this name; GET /schemas/ lists them.")
        return json_reply(schemas[name])

    document = openapi_document(
        site.services,
        site.settings.base_url,
        schemas,
        with_token=site.settings.needs_client_auth,
        with_token_for_discovery=site.settings.authenticate_discovery,
    )
    openapi = msgspec.json.encode(document)

    @app.get("/openapi.json")
    def show_openapi() -> Response:
        return json_reply(openapi)

    @app.get("/")
    def show_index() -> str:
        return render_template(
            "index.html",
            base_url=site.settings.base_url,
            services=site.services,
            schemas=tuple(schemas),
            metrics=site.settings.metrics,
            with_token=site.settings.needs_client_auth,
        )


def _load_schemas() -> dict[str, bytes]:
    files = resources.files("cds_service").joinpath("schemas").iterdir()
    return {file.name: file.read_bytes() for file in sorted(files, key=str) if file.name.endswith(".json")}
