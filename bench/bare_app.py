"""The floor of `start_and_memory.py`: a Flask app that only parses what it is sent, with a reply as long as ours."""

from __future__ import annotations

from flask import Flask, Response, request

REPLY = '{"cards": [], "extension": "' + "x" * 16_000 + '"}'

app = Flask("bare")


@app.get("/health/ready")
def ready() -> Response:
    return Response("{}", mimetype="application/json")


@app.post("/<path:_>")
def parse_and_reply(_: str) -> Response:
    request.get_json(silent=True)
    return Response(REPLY, mimetype="application/json")
