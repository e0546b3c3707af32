"""The room's ports on real engines."""
