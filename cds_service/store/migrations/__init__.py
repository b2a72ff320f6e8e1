"""Brings a database to the state of `tables.py`, one file a step in `versions/`."""
