"""Which browser pages may call: CORS, with its preflight."""

from __future__ import annotations

from flask import Flask, Response, request

_PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "authorization, content-type",
    "Access-Control-Max-Age": "600",
}


def add_cors(app: Flask, origins: tuple[str, ...] | None) -> None:
    """Lets browsers of the allowed origins (None: any) call all paths and read errors too; never cookies."""

    @app.before_request
    def answer_preflight() -> Response | None:
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return Response(status=204)
        return None

    @app.after_request
    def allow_origin(response: Response) -> Response:
        origin = request.headers.get("Origin")
        if origins is not None:
            response.headers.add("Vary", "Origin")
        if origin is None or (origins is not None and origin not in origins):
            return response
        response.headers["Access-Control-Allow-Origin"] = "*" if origins is None else origin
        if request.method == "OPTIONS":
            response.headers.update(_PREFLIGHT_HEADERS)
            if "Access-Control-Request-Private-Network" in request.headers:
                response.headers["Access-Control-Allow-Private-Network"] = "true"
        return response
