"""Published JSON Schemas, served at `/schemas/`."""
