"""HTML that the service shows."""
