"""One FHIR server on behalf of one request: whether it may be called, how it wants to be asked, what it answered."""
