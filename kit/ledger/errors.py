"""Errors of ledgers."""

from __future__ import annotations

import grpc

from kit.errors import ErrorTable, Problem, Unavailable


class ShardNotServed(Unavailable):
    """This node does not serve the shard. Nothing was done; another node can do it. Clients see Unavailable."""


class OpIdExpired(Problem):
    """The operation id is older than the stored answers, so a retry could not be recognised. Nothing was done."""


class NewerFormat(Exception):
    """An entry was written by a newer version of this program."""


class CorruptEntry(Exception):
    """An entry, or the order of entries, is invalid."""


# For the error table of every service with a ledger.
LEDGER_ERRORS: ErrorTable = {
    OpIdExpired: (grpc.StatusCode.FAILED_PRECONDITION, "OP_ID_EXPIRED"),
}
# Between the nodes of a service: the forwarding node executes the call itself.
FORWARDING_ERRORS: ErrorTable = {
    ShardNotServed: (grpc.StatusCode.UNAVAILABLE, "SHARD_NOT_SERVED"),
}
