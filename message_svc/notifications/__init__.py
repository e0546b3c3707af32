"""Finds the members whom a message has not reached, and publishes a notification for each."""
