"""What can go wrong here, and how callers are told."""

from __future__ import annotations

from kit.errors import ErrorTable, Unavailable


class CountsUnreachable(Unavailable):
    """The counter did not answer in time."""


class RegistryUnreachable(Unavailable):
    """No session registry is known."""


class NodeSilent(Unavailable):
    """A gateway node took too long to answer, or ended the stream."""


class NewerFormat(Exception):
    """An entry of the ledger was written by a newer version, and nothing behind it is read before this one is."""


ERRORS: ErrorTable = {}
