"""Between protobuf messages and domain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from google.protobuf.message import DecodeError

from counter_svc.domain import Recounted, Row, Totals, totals
from kit.auth.access import ANY_TENANT
from kit.auth.caller import Caller
from kit.errors import AccessDenied, Invalid
from kit.event_log.ports import Record
from kit.ledger.entry import EntryName, parse_name
from kit.target import MAX_TARGETS, is_id, parse_target, target_names, target_names_of
from kit.tenant_keys import TargetKey
from plaudit.counter.v1 import counter_service_pb2 as pb
from plaudit.event.v1 import reaction_events_pb2 as event_pb
from plaudit.reaction.v1 import reaction_service_pb2 as reaction_pb
from plaudit.reaction.v1 import reaction_tally_pb2 as tally_pb
from plaudit.type.v1 import counts_pb2 as type_pb

# The highest format of entries that this version reads.
FORMAT = 1


class Undecodable(Exception):
    """A log record that is no valid entry."""


class Entry(NamedTuple):
    """An entry of the ledger; without rows where its format is above `FORMAT`."""

    name: EntryName
    format: int
    rows: Sequence[Row]


def entry_from_record(record: Record) -> Entry:
    """A log record's name and the counts after it; raises `Undecodable`."""
    name = parse_name(record.key)
    if name is None:
        raise Undecodable(f"{record.key[:50]!r} is not the name of an entry")
    try:
        message = event_pb.ReactionsChanged.FromString(record.payload)
        if message.format > FORMAT:
            return Entry(name, message.format, ())
        # The columns of the changes are long, and are not decoded.
        rows = [
            ((row.tenant, row.target), row.version, dict(zip(row.emojis, row.counts, strict=True)))
            for row in message.targets
        ]
    except (DecodeError, ValueError) as error:
        raise Undecodable(str(error)) from None
    return Entry(name, message.format, rows)


def key_from_pb(request: pb.GetReactionCountsRequest, who: Caller) -> TargetKey:
    """The one target of a request; raises `Invalid`."""
    parse_target(request.target)
    return who.tenant, request.target


def keys_from_pb(request: pb.GetCountsRequest, who: Caller) -> tuple[list[TargetKey], Sequence[int]]:
    """The targets in order, and their minimum versions (all or none); raises `Invalid`.

    A service that calls in its own name may give tenants; any other call is in the caller's tenant. Raises `Forbidden`
    for a tenant that the service may not act in.
    """
    names = target_names_of(request.targets, request.target_type, request.target_ids)
    min_versions: Sequence[int] = request.min_versions
    if min_versions and len(min_versions) != len(names):
        raise Invalid("give one minimum version per target, or none", field="min_versions")
    if any(version < 0 for version in min_versions):
        raise Invalid("a version is never negative", field="min_versions")
    tenants = request.tenants
    if tenants and who.service and not who.user:
        if len(tenants) != len(names):
            raise Invalid("give one tenant per target, or none", field="tenants")
        for tenant in set(tenants):
            _check_tenant(tenant, who)
        return list(zip(tenants, names, strict=True)), min_versions
    tenant = who.tenant
    return [(tenant, name) for name in names], min_versions


def watched_from_pb(request: pb.WatchCountsRequest, who: Caller) -> list[TargetKey]:
    """The targets to watch; raises `Invalid`."""
    return [(who.tenant, name) for name in target_names(request.targets)]


def rebuilt_keys_from_pb(request: pb.RebuildRequest, who: Caller) -> list[TargetKey] | None:
    """The targets to recount; None: all. Raises `Invalid`."""
    if not request.targets:
        if ANY_TENANT not in who.scopes:
            raise AccessDenied("this service may not recount all tenants")
        return None
    tenant = request.tenant or who.tenant
    _check_tenant(tenant, who)
    return [(tenant, name) for name in target_names(request.targets)]


def reaction_counts_to_pb(value: Totals) -> pb.GetReactionCountsResponse:
    """One target's counts."""
    return pb.GetReactionCountsResponse(version=value.version, reactions=_reactions(value))


def counts_to_pb(keys: Sequence[TargetKey], values: Sequence[Totals]) -> pb.GetCountsResponse:
    """Many targets' counts, in order."""
    return pb.GetCountsResponse(counts=[_target(key, value) for key, value in zip(keys, values, strict=True)])


def changes_to_pb(changes: Sequence[tuple[TargetKey, Totals]]) -> pb.WatchCountsResponse:
    """Changed counts."""
    return pb.WatchCountsResponse(counts=[_target(key, value) for key, value in changes])


def rebuilt_to_pb(done: Recounted) -> pb.RebuildResponse:
    """The result of a recount."""
    return pb.RebuildResponse(targets=done.targets, drifted=done.drifted)


def rebuild_to_pb(partitions: Sequence[int], keys: Sequence[TargetKey] | None) -> list[bytes]:
    """Requests to recount targets of some partitions, by tenant; None: all, in one request."""
    if keys is None:
        return [pb.RebuildRequest(partitions=partitions).SerializeToString()]
    return [
        pb.RebuildRequest(tenant=tenant, targets=targets, partitions=partitions).SerializeToString()
        for tenant, targets in _by_tenant(keys)
    ]


def rebuilt_from_pb(response: bytes) -> Recounted:
    """The result of a recount on another node."""
    message = pb.RebuildResponse.FromString(response)
    return Recounted(message.targets, message.drifted)


def heads_to_pb(keys: Sequence[TargetKey]) -> bytes:
    """A request for the heads of up to 1,000 targets."""
    return reaction_pb.BatchGetTargetCountsRequest(
        targets=[target for _, target in keys], tenants=[tenant for tenant, _ in keys]
    ).SerializeToString()


def heads_from_pb(keys: Sequence[TargetKey], response: bytes) -> dict[TargetKey, Totals]:
    """The heads of the requested targets."""
    rows = reaction_pb.BatchGetTargetCountsResponse.FromString(response).counts
    return {key: _totals(row) for key, row in zip(keys, rows, strict=True)}


def tallies_to_pb(keys: Sequence[TargetKey]) -> list[bytes]:
    """Requests to count the records of some targets, by tenant."""
    return [
        tally_pb.TallyReactionsRequest(tenant=tenant, targets=targets).SerializeToString()
        for tenant, targets in _by_tenant(keys)
    ]


def tally_all_to_pb(page_token: str) -> bytes:
    """A request to count the records of all targets, a page at a time."""
    return tally_pb.TallyReactionsRequest(page_size=MAX_TARGETS, page_token=page_token).SerializeToString()


def tallies_from_pb(response: bytes) -> tuple[dict[TargetKey, Totals], str]:
    """The records of targets, counted, and the token of the next page."""
    message = tally_pb.TallyReactionsResponse.FromString(response)
    found = {(tally.tenant, tally.counts.target): _totals(tally.counts) for tally in message.tallies}
    return found, message.next_page_token


def _by_tenant(keys: Sequence[TargetKey]) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for tenant, target in dict.fromkeys(keys):
        found.setdefault(tenant, []).append(target)
    return list(found.items())


def _totals(row: type_pb.TargetCounts) -> Totals:
    return totals(row.version, {one.emoji: one.count for one in row.reactions})


def _check_tenant(tenant: str, who: Caller) -> None:
    if tenant != who.tenant and ANY_TENANT not in who.scopes:
        raise AccessDenied("this service may not act in that tenant")
    if not is_id(tenant):
        raise Invalid("a tenant is 1 to 64 letters, digits or _.~-", field="tenants")


def _reactions(value: Totals) -> list[type_pb.ReactionCount]:
    return [type_pb.ReactionCount(emoji=emoji, count=count) for emoji, count in value.reactions]


def _target(key: TargetKey, value: Totals) -> type_pb.TargetCounts:
    return type_pb.TargetCounts(target=key[1], version=value.version, reactions=_reactions(value))
