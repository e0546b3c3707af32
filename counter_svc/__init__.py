"""Counts: how many people hold each reaction, folded from the reaction log."""
