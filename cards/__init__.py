"""Cards: an assessment in, CDS Hooks cards out. Start at `catalogue.cards_for`.

card.py allows what the specification allows; catalogue.py chooses the card; detail.py and markdown.py
write its text; suggestions.py drafts its FHIR resources; around.py writes what stands around the trials; words.py
reads catalogue.json, where every wording and code lives.
"""
