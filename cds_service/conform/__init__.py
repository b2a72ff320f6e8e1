"""A conformance checker for any CDS Hooks service, from outside: only what goes over HTTP is looked at.

    discovery → hook calls → cards, prefetch, access → feedback, browsers, client tokens → report

Nothing here knows how the service of this project works; `rules.csv` are the rules.
"""

DEFAULT_ORIGIN = "https://sandbox.cds-hooks.org"
