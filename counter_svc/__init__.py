"""Counts: how many people hold each reaction, read from the reaction log."""
