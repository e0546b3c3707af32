"""Limits of a server: by time, by rate, and for each caller."""
