"""Examines a FHIR server from outside: can it feed the rules, and how well is what they need recorded there?

`examine` tries what the service will ask for and reads some patients as the service will; nothing is written.
"""
