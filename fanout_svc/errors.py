"""Errors of fan-out."""

from __future__ import annotations

from kit.errors import ErrorTable, Unavailable


class CountsUnreachable(Unavailable):
    """counter_svc did not answer in time."""


class RegistryUnreachable(Unavailable):
    """No session registry is known."""


class NodeSilent(Unavailable):
    """A gateway node did not answer in time, or ended the stream."""


class MembersNotWritten(Unavailable):
    """The tables of message_svc do not have the members after an entry yet."""


class Undecodable(Exception):
    """A log record that is no valid entry."""


class NewerFormat(Exception):
    """An entry of the ledger has a newer format; reading stops here until this node is updated."""


ERRORS: ErrorTable = {}
