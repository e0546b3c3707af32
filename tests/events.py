"""Records of the reaction log, written and read row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from plaudit.event.v1 import reaction_events_pb2 as pb


class Change(NamedTuple):
    """One user's reaction on one target has changed."""

    tenant: str
    target: str
    user: str
    added: str
    removed: str
    version: int


def by_target(changes: Iterable[Change]) -> list[Change]:
    """The changes in the order in which a record holds them: target by target."""
    found: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        found.setdefault((change.tenant, change.target), []).append(change)
    return [change for rows in found.values() for change in rows]


def payload(changes: Iterable[Change], counts: Mapping[tuple[str, str], Mapping[str, int]] | None = None) -> bytes:
    """One record of these changes; `counts`: of each target after its last change, 0 where they are not given."""
    record = pb.ReactionsChanged()
    targets: dict[tuple[str, str], pb.TargetChanged] = {}
    for tenant, target, user, added, removed, version in changes:
        columns = targets.get((tenant, target))
        if columns is None:
            columns = targets[tenant, target] = record.targets.add(tenant=tenant, target=target)
        for emoji in (added, removed):
            if emoji and emoji not in columns.emojis:
                columns.emojis.append(emoji)
        places = ["", *columns.emojis]
        columns.users.append(user)
        columns.added.append(places.index(added))
        columns.removed.append(places.index(removed))
        columns.versions.append(version)
        columns.version = version
    for key, columns in targets.items():
        held = (counts or {}).get(key, {})
        columns.emojis.extend(emoji for emoji in held if emoji not in columns.emojis)
        columns.counts.extend(held.get(emoji, 0) for emoji in columns.emojis)
    return record.SerializeToString()


def read(record: bytes) -> list[Change]:
    """The changes of one record, target by target."""
    changes: list[Change] = []
    for row in pb.ReactionsChanged.FromString(record).targets:
        emojis = ["", *row.emojis]
        changes += [
            Change(row.tenant, row.target, user, emojis[added], emojis[removed], version)
            for user, added, removed, version in zip(row.users, row.added, row.removed, row.versions, strict=True)
        ]
    return changes
