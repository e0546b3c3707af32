"""Between protobuf messages and domain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from sys import intern

from google.protobuf.message import DecodeError

from fanout_svc.conversation_pushes import ItemPush, UnkeptPush
from fanout_svc.deliverable import Deliverable, MessageUpdate
from fanout_svc.domain import Change, Node, NodeInterest, OwnUpdate, TargetChange, Topic, TopicStatus, Totals, Update
from fanout_svc.errors import Undecodable
from fanout_svc.topics.interest import Interest, RegistryDelta
from kit.auth.caller import Caller
from kit.errors import Invalid
from kit.event_log.ports import Record
from plaudit.counter.v1 import counter_service_pb2 as counter_pb
from plaudit.event.v1 import reaction_events_pb2 as event_pb
from plaudit.fanout.v1 import fanout_service_pb2 as pb
from plaudit.fanout.v1 import updates_pb2
from plaudit.gateway.v1 import node_service_pb2 as node_pb
from plaudit.session.v1 import session_registry_service_pb2 as session_pb

# The highest version of the message that this reader understands.
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the ledger; the targets of one with a format above `FORMAT` are not decoded."""

    format: int
    targets: Sequence[TargetChange] = ()


def entry_from_record(record: Record, interest: Interest) -> Entry:
    """The entry in a log record, with the changes that have subscribers; raises `Undecodable`."""
    try:
        entry = event_pb.ReactionsChanged.FromString(record.payload)
        if entry.format > FORMAT:
            return Entry(entry.format)
        subscribed = interest if len(interest) else None
        return Entry(entry.format, [_target(row, subscribed) for row in entry.targets])
    except (DecodeError, IndexError, ValueError) as error:
        raise Undecodable(str(error)) from None


def _target(row: event_pb.TargetChanged, interest: Interest | None) -> TargetChange:
    # A slice is read several times faster than the column itself.
    emojis, counts = tuple(map(intern, row.emojis[:])), tuple(row.counts[:])
    if len(emojis) != len(counts):
        raise Undecodable("a target has other counts than emoji")
    tenant = row.tenant
    topic, head = (tenant, row.target), (row.version, emojis, counts)
    # The columns of rows are long: they are read only where they have subscribers.
    if interest is None:
        return topic, head, ()
    if interest.follows(topic):
        return topic, head, _changes(row, emojis, None)
    users = interest.users_of(tenant)
    if users and not users.isdisjoint(row.users[:]):
        return topic, head, _changes(row, emojis, users)
    return topic, head, ()


def _changes(row: event_pb.TargetChanged, emojis: tuple[str, ...], users: Set[str] | None) -> list[Change]:
    """The rows that changed something, of these users; None: of all."""
    named = ("", *emojis)
    rows = zip(row.users[:], row.added[:], row.removed[:], row.versions[:], strict=True)
    return [
        (user, named[added], named[removed], version)
        for user, added, removed, version in rows
        if (added or removed) and (users is None or user in users)
    ]


def delivery_to_pb(update: Deliverable) -> node_pb.Delivery:
    """An update as a delivery to a gateway node."""
    if isinstance(update, NodeInterest):
        return _node_interest(update)
    tenant, name = update.topic
    if isinstance(update, ItemPush | UnkeptPush):
        return node_pb.Delivery(
            tenant=tenant,
            topic=name,
            type=update.kind,
            payload=update.payload,
            version=update.version,
            key=update.key,
            order_key=update.order_key,
            other_topics=update.topics[1:],
            removed_users=update.removed_users if isinstance(update, ItemPush) else (),
            ends_subscriptions=isinstance(update, ItemPush) and update.ends_subscriptions,
        )
    message: updates_pb2.ReactionUpdate | updates_pb2.OwnReactionUpdate
    if isinstance(update, Update):
        message, kind, order_key = _update(update), "reaction_update", ""
    elif isinstance(update, MessageUpdate):
        message, kind, order_key = _update(update.update), "reaction_update", ""
        message.target = update.target
    else:
        message, kind, order_key = _own_update(update), "own_reaction_update", update.target
    return node_pb.Delivery(
        tenant=tenant,
        topic=name,
        type=kind,
        payload=message.SerializeToString(),
        version=update.version,
        key=update.key,
        order_key=order_key,
    )


def deliveries_to_pb(deliveries: Sequence[node_pb.Delivery], sequence: str) -> node_pb.DeliverRequest:
    """A batch of deliveries, as a part of a sequence."""
    return node_pb.DeliverRequest(deliveries=deliveries, sequence=sequence)


def counts_request_to_pb(min_versions: Mapping[Topic, int], *, at_versions: bool) -> bytes:
    """A request for the counts of topics, at their versions or as they are."""
    return counter_pb.GetCountsRequest(
        targets=[name for _, name in min_versions],
        tenants=[tenant for tenant, _ in min_versions],
        min_versions=min_versions.values() if at_versions else (),
    ).SerializeToString()


def counts_from_pb(min_versions: Mapping[Topic, int], response: bytes) -> dict[Topic, Totals]:
    """The requested counts, without those that have not reached their version."""
    rows = counter_pb.GetCountsResponse.FromString(response).counts
    return {
        topic: Totals(row.version, tuple((one.emoji, one.count) for one in row.reactions))
        for (topic, least), row in zip(min_versions.items(), rows, strict=True)
        if row.version >= least
    }


def delta_from_pb(response: session_pb.WatchResponse, hosting: str) -> RegistryDelta:
    """The change of nodes that host a service, and of interest."""
    return RegistryDelta(
        down=list(response.down),
        up=[Node(node.node_id, node.address, node.epoch) for node in response.up if hosting in node.services],
        interests=[(one.node_id, (one.topic.tenant, one.topic.name), one.wanted) for one in response.interests],
        synced=response.synced,
    )


def topics_from_pb(request: pb.DescribeTopicsRequest, who: Caller) -> list[Topic]:
    """The requested topics; raises `Invalid`."""
    if any(not name for name in request.topics):
        raise Invalid("a topic has a name", field="topics")
    return [(request.tenant or who.tenant, name) for name in request.topics]


def statuses_to_pb(statuses: Sequence[TopicStatus]) -> pb.DescribeTopicsResponse:
    """The status of topics."""
    return pb.DescribeTopicsResponse(
        topics=[
            pb.TopicStatus(
                topic=status.topic[1],
                node_ids=status.node_ids,
                sent_version=status.sent_version,
                storm=status.storm,
            )
            for status in statuses
        ]
    )


def _node_interest(interest: NodeInterest) -> node_pb.Delivery:
    tenant, name = interest.topic
    return node_pb.Delivery(tenant=tenant, topic=name, key=interest.node_id, version=0 if interest.subscribes else -1)


def _update(update: Update) -> updates_pb2.ReactionUpdate:
    message = updates_pb2.ReactionUpdate(version=update.version, storm=update.storm, recent=update.recent)
    for emoji, count in update.totals.reactions:
        message.reactions.add(emoji=emoji, count=count)
    return message


def _own_update(update: OwnUpdate) -> updates_pb2.OwnReactionUpdate:
    return updates_pb2.OwnReactionUpdate(
        target=update.target, added=update.added, removed=update.removed, version=update.version
    )
