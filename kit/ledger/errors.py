"""How a ledger fails."""

from __future__ import annotations

import grpc

from kit.errors import ErrorTable, Problem, Unavailable


class ShardNotServed(Unavailable):
    """This node does not serve the shard; nothing was done, another node can. To clients it is Unavailable."""


class OpIdExpired(Problem):
    """The operation's id is older than the answers that are kept: a retry could not be recognised; nothing was done."""


class NewerFormat(Exception):
    """An entry was written by a newer version of this program."""


class CorruptEntry(Exception):
    """An entry or the order of entries is not what it must be."""


# For the table of every service whose changes go through a ledger.
LEDGER_ERRORS: ErrorTable = {
    OpIdExpired: (grpc.StatusCode.FAILED_PRECONDITION, "OP_ID_EXPIRED"),
}
# Between the nodes of a service: the node that forwarded executes it itself.
FORWARDING_ERRORS: ErrorTable = {
    ShardNotServed: (grpc.StatusCode.UNAVAILABLE, "SHARD_NOT_SERVED"),
}
