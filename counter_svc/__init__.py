"""Counts: how many users have each reaction, read from the reaction log."""
