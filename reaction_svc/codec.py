"""The only place of the room that reads or builds protobuf fields."""

from __future__ import annotations

from collections.abc import Sequence

from plaudit.event.v1 import reaction_events_pb2 as events_pb

from reaction_svc.domain import Fact


def facts_to_bytes(facts: Sequence[Fact]) -> bytes:
    """One record of the log's topic `reactions`. See `ports.FactCodec`."""
    record = events_pb.ReactionsChanged()
    add = record.changes.add
    for tenant, target, user, added, removed, version in facts:
        add(tenant=tenant, target=target, user=user, added=added, removed=removed, version=version)
    return record.SerializeToString()


def facts_from_bytes(payload: bytes) -> list[Fact]:
    """Reads a record of the log's topic `reactions`."""
    return [
        Fact(change.tenant, change.target, change.user, change.added, change.removed, change.version)
        for change in events_pb.ReactionsChanged.FromString(payload).changes
    ]
