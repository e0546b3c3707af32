"""A decided batch: what is kept of it in Redis and in the outbox, and the rows that follow from it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec

from reaction_svc.domain import Action, Done, Fact
from reaction_svc.opids import is_timed

BUCKETS = 16
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


class Record(NamedTuple):
    """The state a batch leaves one person's one reaction in, and the operation that did it, "" where it has no id."""

    user: str
    emoji: str
    held: bool
    version: int
    op_id: str
    action: int


encode_batch = msgspec.msgpack.Encoder().encode
decode_batch = msgspec.msgpack.Decoder(Batch).decode
encode_head = msgspec.json.Encoder().encode
decode_head = msgspec.json.Decoder(Head).decode
encode_answers = msgspec.msgpack.Encoder().encode
decode_answers = msgspec.msgpack.Decoder(list[OpRow]).decode


def records_of(entry: Entry) -> list[Record]:
    """The last state of each reaction the batch changes."""
    by: dict[tuple[str, int], tuple[str, int, str]] = {}
    for user, emoji, action, _, version, op_id in entry.ops:
        by.setdefault((user, version), (emoji, action, op_id))  # the first one made the change, later ones none
    last: dict[tuple[str, str], Record] = {}
    nobody = ("", 0, "")
    for user, added, removed, version in entry.facts:
        emoji, action, op_id = by.get((user, version), nobody)
        for changed, held in ((removed, False), (added, True)):
            if changed:
                # A switch takes the other emoji back too, but is an operation of the one it adds.
                own = changed == emoji or action == Action.CLEAR
                last[user, changed] = Record(user, changed, held, version, op_id if own else "", action if own else 0)
    return list(last.values())


def facts_of(batch: Batch) -> list[Fact]:
    """The facts of a batch, in order for each target."""
    return [
        Fact(entry.tenant, entry.target, user, added, removed, version)
        for entry in batch.entries
        for user, added, removed, version in entry.facts
    ]


def slice_of(op_id: str) -> tuple[str, str]:
    """Where an operation's answer is kept: the partition's part, and within it the row's; see the schema."""
    # The first eight digits change every 65 seconds, ten every quarter of one. Other ids have no order: one row each.
    return (op_id[:8], op_id[9:11]) if is_timed(op_id) else ("", op_id)


def sliced(ops: Sequence[OpRow]) -> list[tuple[tuple[str, str], list[OpRow]]]:
    """The operations by where their answers are kept."""
    placed = sorted(((slice_of(op[5]), op) for op in ops), key=lambda pair: pair[0])
    return [(place, [op for _, op in pairs]) for place, pairs in groupby(placed, key=lambda pair: pair[0])]


def done_of(row: OpRow) -> Done:
    """The answer as the domain knows it."""
    user, emoji, action, on, version, _ = row
    return Done(user, emoji, action, on, version)


def bucket_of(user: str, buckets: int) -> int:
    """The bucket of a person's records."""
    return zlib.crc32(user.encode()) % buckets if buckets > 1 else 0
