"""Entries and forwarded operations of the ledger as protobuf messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from google.protobuf.message import DecodeError

from kit.errors import Invalid
from kit.ledger.errors import CorruptEntry, NewerFormat
from kit.ledger.node import Executed
from kit.tenant_keys import TargetKey
from plaudit.event.v1 import reaction_events_pb2 as events_pb
from plaudit.reaction.v1 import forwarded_pb2 as forwarded_pb
from reaction_svc.codec import target_counts_to_pb
from reaction_svc.domain import (
    Action,
    Op,
    OperationRow,
    Outcome,
    Refusal,
    TargetChange,
    TargetHead,
)
from reaction_svc.ports import TargetCounts

_REFUSALS = {
    Refusal.OP_CONFLICT: forwarded_pb.FORWARDED_REFUSAL_OP_CONFLICT,
    Refusal.OP_EXPIRED: forwarded_pb.FORWARDED_REFUSAL_OP_EXPIRED,
    Refusal.TOO_MANY_EMOJI: forwarded_pb.FORWARDED_REFUSAL_TOO_MANY_EMOJI,
}
_REFUSED = {number: refusal for refusal, number in _REFUSALS.items()}
FORMAT = 1
"""The newest format of entries that this version reads and writes."""


class EventCodec:
    """See `model.EntryCodec`: entries as `plaudit.event.v1.ReactionsChanged`."""

    def encode(self, changes: Sequence[TargetChange]) -> bytes:
        """See `model.EntryCodec`."""
        entry = events_pb.ReactionsChanged(format=FORMAT)
        for (tenant, target), rows, head in changes:
            users, added, removed, versions, op_ids, asked, actions, on = zip(*rows, strict=True)
            emojis = dict.fromkeys(added) | dict.fromkeys(removed) | dict.fromkeys(asked) | dict.fromkeys(head.counts)
            emojis.pop("", None)
            place = {"": 0} | {emoji: number for number, emoji in enumerate(emojis, start=1)}
            entry.targets.add(
                tenant=tenant,
                target=target,
                emojis=emojis,
                users=users,
                added=[place[emoji] for emoji in added],
                removed=[place[emoji] for emoji in removed],
                versions=versions,
                op_ids=op_ids,
                asked=[place[emoji] for emoji in asked],
                actions=actions,
                on=on,
                version=head.version,
                counts=[head.counts.get(emoji, 0) for emoji in emojis],
                highest_op_id=head.highest,
                op_ids_ahead=head.ahead,
            )
        return entry.SerializeToString()

    def decode(self, payload: bytes, stamp: int) -> Sequence[TargetChange]:
        """See `model.EntryCodec`."""
        try:
            entry = events_pb.ReactionsChanged.FromString(payload)
            if entry.format > FORMAT:
                raise NewerFormat(f"an entry has format {entry.format}, this program knows {FORMAT}")
            return [_change(row, stamp) for row in entry.targets]
        except (DecodeError, IndexError, ValueError) as error:
            raise CorruptEntry(f"an entry cannot be read: {error}") from None


class OpCodec:
    """See `kit.ledger.router.CommandCodec`: operations as `plaudit.reaction.v1.ForwardedOperations`."""

    def encode_commands(self, commands: Sequence[Op]) -> bytes:
        """See `CommandCodec`."""
        tenants, targets, users, emojis, actions, op_ids = zip(*commands, strict=True)
        return forwarded_pb.ForwardedOperations(
            tenants=tenants, targets=targets, users=users, emojis=emojis, actions=actions, op_ids=op_ids
        ).SerializeToString()

    def decode_commands(self, data: bytes) -> list[Op]:
        """See `CommandCodec`."""
        try:
            rows = forwarded_pb.ForwardedOperations.FromString(data)
            return [
                Op(tenant, target, user, emoji, Action(action), op_id)
                for tenant, target, user, emoji, action, op_id in zip(
                    rows.tenants, rows.targets, rows.users, rows.emojis, rows.actions, rows.op_ids, strict=True
                )
            ]
        except (DecodeError, ValueError) as error:
            raise Invalid(f"the operations cannot be read: {error}", field="commands") from None

    def encode_executed(self, executed: Executed) -> bytes:
        """See `CommandCodec`."""
        message = forwarded_pb.ForwardedAnswers()
        for answer in executed.answers:
            refused = isinstance(answer, Refusal)
            message.refusals.append(_REFUSALS[answer] if refused else forwarded_pb.FORWARDED_REFUSAL_UNSPECIFIED)
            message.on.append(not refused and answer.on)
            message.versions.append(0 if refused else answer.version)
        tallies: Mapping[TargetKey, TargetCounts] = executed.view
        message.tenants.extend(tenant for tenant, _ in tallies)
        message.counts.extend(target_counts_to_pb(tallies.values()))
        return message.SerializeToString()

    def decode_executed(self, data: bytes) -> Executed:
        """See `CommandCodec`."""
        message = forwarded_pb.ForwardedAnswers.FromString(data)
        answers = [
            Outcome(on, version) if refusal == forwarded_pb.FORWARDED_REFUSAL_UNSPECIFIED else _REFUSED[refusal]
            for on, version, refusal in zip(message.on, message.versions, message.refusals, strict=True)
        ]
        view = {
            (tenant, row.target): TargetCounts(
                tenant, row.target, row.version, {one.emoji: one.count for one in row.reactions}
            )
            for tenant, row in zip(message.tenants, message.counts, strict=True)
        }
        return Executed(answers, view)


def _change(row: events_pb.TargetChanged, stamp: int) -> TargetChange:
    emojis = ["", *row.emojis]
    rows = [
        OperationRow(user, emojis[added], emojis[removed], version, op_id, emojis[asked], action, on)
        for user, added, removed, version, op_id, asked, action, on in zip(
            row.users, row.added, row.removed, row.versions, row.op_ids, row.asked, row.actions, row.on, strict=True
        )
    ]
    counts = {emoji: users for emoji, users in zip(row.emojis, row.counts, strict=True) if users}
    head = TargetHead(row.version, stamp, counts, row.highest_op_id, tuple(row.op_ids_ahead))
    return TargetChange((row.tenant, row.target), rows, head)
