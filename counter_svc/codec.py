"""Between protobuf messages and the values of the room."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import DecodeError

from counter_svc.domain import Batch, Change, Key, Rebuilt, Totals, totals
from kit.access import ANY_TENANT
from kit.caller import Caller
from kit.errors import Forbidden, Invalid
from kit.eventlog import Record
from kit.target import MAX_TARGETS, is_id, parse_target, target_names
from plaudit.counter.v1 import counter_service_pb2 as pb
from plaudit.event.v1 import reaction_events_pb2 as event_pb
from plaudit.reaction.v1 import reaction_service_pb2 as reaction_pb
from plaudit.type.v1 import counts_pb2 as type_pb


class Undecodable(Exception):
    """A log record that is not what it should be."""


def batch_from_record(record: Record) -> Batch:
    """A log record's position and changes; raises `Undecodable`."""
    changes: list[Change] = []
    try:
        for row in event_pb.ReactionsChanged.FromString(record.payload).targets:
            tenant, target, emojis = row.tenant, row.target, ["", *row.emojis]
            changes += [
                (tenant, target, emojis[added], emojis[removed], version)
                for added, removed, version in zip(row.added, row.removed, row.versions, strict=True)
            ]
    except (DecodeError, IndexError, ValueError) as error:
        raise Undecodable(str(error)) from None
    return record.position, changes


def key_from_pb(request: pb.GetReactionCountsRequest, who: Caller) -> Key:
    """The one target of a request; raises `Invalid`."""
    parse_target(request.target)
    return who.tenant, request.target


def keys_from_pb(request: pb.GetCountsRequest, who: Caller) -> tuple[list[Key], Sequence[int]]:
    """The targets in order, and their least versions (all or none); raises `Invalid`.

    Tenants are taken from a service that asks in its own name; anyone else asks in the caller's tenant. Raises
    `Forbidden` for a tenant the service may not act in.
    """
    names = target_names(request.targets)
    least: Sequence[int] = request.min_versions
    if least and len(least) != len(names):
        raise Invalid("give one least version per target, or none", field="min_versions")
    if any(version < 0 for version in least):
        raise Invalid("a version is never negative", field="min_versions")
    tenants = request.tenants
    if tenants and who.service and not who.user:
        if len(tenants) != len(names):
            raise Invalid("give one tenant per target, or none", field="tenants")
        for tenant in set(tenants):
            _check_tenant(tenant, who)
        return list(zip(tenants, names, strict=True)), least
    tenant = who.tenant
    return [(tenant, name) for name in names], least


def watched_from_pb(request: pb.WatchCountsRequest, who: Caller) -> list[Key]:
    """The targets to watch; raises `Invalid`."""
    return [(who.tenant, name) for name in target_names(request.targets)]


def rebuilt_keys_from_pb(request: pb.RebuildRequest, who: Caller) -> list[Key] | None:
    """The targets to count anew; None: all. Raises `Invalid`."""
    if not request.targets:
        if ANY_TENANT not in who.scopes:
            raise Forbidden("this service may not count all tenants anew", reason="ACCESS_DENIED")
        return None
    tenant = request.tenant or who.tenant
    _check_tenant(tenant, who)
    return [(tenant, name) for name in target_names(request.targets)]


def reaction_counts_to_pb(value: Totals) -> pb.GetReactionCountsResponse:
    """One target's counts."""
    return pb.GetReactionCountsResponse(version=value.version, reactions=_reactions(value))


def counts_to_pb(keys: Sequence[Key], values: Sequence[Totals]) -> pb.GetCountsResponse:
    """Many targets' counts, in order."""
    return pb.GetCountsResponse(counts=[_target(key, value) for key, value in zip(keys, values, strict=True)])


def news_to_pb(news: Sequence[tuple[Key, Totals]]) -> pb.WatchCountsResponse:
    """What has changed."""
    return pb.WatchCountsResponse(counts=[_target(key, value) for key, value in news])


def rebuilt_to_pb(done: Rebuilt) -> pb.RebuildResponse:
    """What a rebuild did."""
    return pb.RebuildResponse(targets=done.targets, drifted=done.drifted)


def rebuild_to_pb(partitions: Sequence[int], keys: Sequence[Key] | None) -> list[bytes]:
    """Requests to count targets of some partitions anew, by tenant, not too many at once; None: all, in one request."""
    if keys is None:
        return [pb.RebuildRequest(partitions=partitions).SerializeToString()]
    by_tenant: dict[str, list[str]] = {}
    for tenant, target in dict.fromkeys(keys):
        by_tenant.setdefault(tenant, []).append(target)
    return [
        pb.RebuildRequest(
            tenant=tenant, targets=targets[start : start + MAX_TARGETS], partitions=partitions
        ).SerializeToString()
        for tenant, targets in by_tenant.items()
        for start in range(0, len(targets), MAX_TARGETS)
    ]


def rebuilt_from_pb(response: bytes) -> Rebuilt:
    """What a rebuild did elsewhere."""
    message = pb.RebuildResponse.FromString(response)
    return Rebuilt(message.targets, message.drifted)


def tally_to_pb(tenant: str, targets: Sequence[str]) -> bytes:
    """A request to count the records of some targets of one tenant."""
    return reaction_pb.TallyReactionsRequest(tenant=tenant, targets=targets).SerializeToString()


def tally_all_to_pb(page_token: str) -> bytes:
    """A request to count the records of all targets, a page at a time."""
    return reaction_pb.TallyReactionsRequest(page_size=1_000, page_token=page_token).SerializeToString()


def tallies_from_pb(response: bytes) -> tuple[list[tuple[Key, Totals]], str]:
    """The records of targets, counted, and the token of the next page."""
    message = reaction_pb.TallyReactionsResponse.FromString(response)
    found = []
    for tally in message.tallies:
        counts = {row.emoji: row.count for row in tally.counts.reactions}
        found.append(((tally.tenant, tally.counts.target), totals(tally.counts.version, counts)))
    return found, message.next_page_token


def _check_tenant(tenant: str, who: Caller) -> None:
    if tenant != who.tenant and ANY_TENANT not in who.scopes:
        raise Forbidden("this service may not act in that tenant", reason="ACCESS_DENIED")
    if not is_id(tenant):
        raise Invalid("a tenant is 1 to 64 letters, digits or _.~-", field="tenants")


def _reactions(value: Totals) -> list[type_pb.ReactionCount]:
    return [type_pb.ReactionCount(emoji=emoji, count=count) for emoji, count in value.reactions]


def _target(key: Key, value: Totals) -> type_pb.TargetCounts:
    return type_pb.TargetCounts(target=key[1], version=value.version, reactions=_reactions(value))
