"""`trd-cds doctor`: what it finds out about FHIR servers that work, and about those that lack something."""
