"""The service's ports on real engines."""
