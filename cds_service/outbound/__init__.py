"""Calls that leave the service: how long, how large, where to, how many at once."""
