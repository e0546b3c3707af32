"""What can keep an engine from running; each message is one line that says what to do."""

from __future__ import annotations


class CannotRun(Exception):
    """An engine does not run."""


class Missing(CannotRun):
    """An engine, or a tool to get it with, is not on this machine and cannot be put there."""


class CannotStart(CannotRun):
    """An engine is here but did not start."""
