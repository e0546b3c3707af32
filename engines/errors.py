"""Errors of engines; each message is one line with what to do."""

from __future__ import annotations


class CannotRun(Exception):
    """An engine cannot run."""


class Missing(CannotRun):
    """An engine, or a tool to install it, is missing on this machine and cannot be installed."""


class CannotStart(CannotRun):
    """An engine is installed but did not start."""
