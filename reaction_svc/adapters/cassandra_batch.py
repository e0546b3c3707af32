"""A decided batch: what is kept of it in Redis and in the outbox, and the rows that follow from it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec

from reaction_svc.domain import Action, Done, Fact

BUCKETS = 8  # where records are follows from it: it stays as long as there are any
# (user, emoji, action, on, version, op_id) of an operation that has an id; (user, added, removed, version) of a fact.
OpRow = tuple[str, str, int, bool, int, str]
FactRow = tuple[str, str, str, int]


class Head(msgspec.Struct, omit_defaults=True):
    """What is known of a target as a whole. `stamp`: of its last batch; `counts`: people per emoji, without zeros."""

    stamp: int
    version: int
    counts: dict[str, int]
    # Where records of new changes go, and where they ever went: in bucket 0, or in one of so many.
    buckets: int = 1
    spread: int = 1
    # See `opids.Floor`.
    highest: str = ""
    ahead: list[str] = []


class Entry(msgspec.Struct, array_like=True):
    """What a batch does to one target: the head it leaves, the answers to be remembered, the facts in order."""

    tenant: str
    target: str
    head: Head
    ops: list[OpRow]
    facts: list[FactRow]


class Batch(msgspec.Struct, array_like=True):
    """What one writer decided in one step. `after`: batches of others whose facts come before these on the log."""

    node: str
    seq: int
    after: list[tuple[str, int]]
    entries: list[Entry]


# (user, emoji, held, version, op_id, action): the state a batch leaves one person's one reaction in, and the operation
# that did it, "" where it has no id.
Record = tuple[str, str, bool, int, str, int]
_CLEAR = Action.CLEAR

encode_batch = msgspec.msgpack.Encoder().encode
decode_batch = msgspec.msgpack.Decoder(Batch).decode
encode_head = msgspec.json.Encoder().encode
decode_head = msgspec.json.Decoder(Head).decode
encode_answers = msgspec.msgpack.Encoder().encode
decode_answers = msgspec.msgpack.Decoder(list[OpRow]).decode


def records_of(entry: Entry) -> list[Record]:
    """The last state of each reaction the batch changes."""
    # The first operation with a version made the change; those with the same one after it changed nothing.
    by = {op[4]: op for op in reversed(entry.ops)}
    last: dict[tuple[str, str], Record] = {}
    for user, added, removed, version in entry.facts:
        op = by.get(version)
        if op is None or op[0] != user:
            emoji, action, op_id = "", 0, ""
        else:
            _, emoji, action, _, _, op_id = op
        # A switch takes the other emoji back too, but is an operation of the one it adds.
        if removed:
            own = removed == emoji or action == _CLEAR
            last[user, removed] = (user, removed, False, version, op_id if own else "", action if own else 0)
        if added:
            own = added == emoji
            last[user, added] = (user, added, True, version, op_id if own else "", action if own else 0)
    return list(last.values())


def facts_of(batch: Batch) -> list[list[Fact]]:
    """The facts of a batch, target by target, each target's in order."""
    return [[Fact(entry.tenant, entry.target, *row) for row in entry.facts] for entry in batch.entries if entry.facts]


def slice_of(op_id: str) -> tuple[str, str]:
    """Where an operation's answer is kept: the partition's part, and within it the row's; see the schema."""
    # The first eight digits change every 65 seconds, ten every quarter of one. Other ids have no order: one row each.
    # What only looks like a timed id is found again, too.
    return (op_id[:8], op_id[9:11]) if len(op_id) == 36 and op_id[14] == "7" else ("", op_id)


def sliced(ops: Sequence[OpRow]) -> dict[tuple[str, str], list[OpRow]]:
    """The operations by where their answers are kept."""
    found: dict[tuple[str, str], list[OpRow]] = {}
    for op in ops:
        found.setdefault(slice_of(op[5]), []).append(op)
    return found


def done_of(row: OpRow) -> Done:
    """The answer as the domain knows it."""
    user, emoji, action, on, version, _ = row
    return Done(user, emoji, action, on, version)


def bucket_of(user: str, buckets: int) -> int:
    """The bucket of a person's records."""
    return zlib.crc32(user.encode()) % buckets if buckets > 1 else 0
