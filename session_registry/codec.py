"""Between protobuf messages and domain values."""

from __future__ import annotations

from collections.abc import Sequence

from kit.tenant_keys import UserKey
from plaudit.session.v1 import session_pb2
from plaudit.session.v1 import session_registry_service_pb2 as pb
from session_registry.domain import Delta, FoundSessions, Node, NodeUpdate, Session, Topic
from session_registry.errors import NotAttached
from session_registry.response_queue import NodeResponse


def node_from_pb(request: pb.AttachRequest) -> Node:
    """The node that the first request of a stream names; raises NotAttached."""
    if not request.HasField("node"):
        raise NotAttached("the first request must name the node", field="node")
    node = request.node
    return Node(node.node_id, node.address, tuple(node.services))


def update_from_pb(request: pb.AttachRequest) -> NodeUpdate:
    """The update in a request."""
    return NodeUpdate(
        closed=tuple(request.closed),
        opened=tuple(
            Session(
                one.session_id,
                one.tenant,
                one.user,
                one.device,
                epoch=one.epoch,
                issued=one.token_issue_seconds if one.HasField("token_issue_seconds") else None,
            )
            for one in request.opened
        ),
        unsubscribed=tuple(Topic(one.tenant, one.name) for one in request.unwanted),
        subscribed=tuple(Topic(one.tenant, one.name) for one in request.wanted),
        complete=request.complete,
    )


def response_to_pb(response: NodeResponse) -> pb.AttachResponse:
    """A response to a node; the lease in milliseconds."""
    return pb.AttachResponse(
        epoch=response.epoch,
        lease_ms=round(response.lease * 1000),
        fenced=response.fenced,
        logged_out=response.logged_out,
        granted=[pb.Grant(session_id=one.session_id, epoch=one.epoch) for one in response.granted],
    )


def delta_to_pb(delta: Delta, synced: bool) -> pb.WatchResponse:
    """Changes for a watcher."""
    return pb.WatchResponse(
        down=delta.down,
        up=[
            session_pb2.Node(node_id=one.node_id, address=one.address, services=one.services, epoch=one.epoch)
            for one in delta.up
        ],
        interests=[
            pb.Interest(
                node_id=one.node_id,
                topic=session_pb2.Topic(tenant=one.topic.tenant, name=one.topic.name),
                wanted=one.subscribes,
            )
            for one in delta.interests
        ],
        synced=synced,
    )


def found_to_pb(found: FoundSessions) -> pb.GetSessionsResponse:
    """The sessions of a user, for services."""
    return pb.GetSessionsResponse(sessions=map(_session_to_pb, found.sessions), from_routes=found.from_routes)


def users_from_pb(request: pb.FindConnectedUsersRequest) -> Sequence[UserKey]:
    """The tenant and the id of each user."""
    return [(user.tenant, user.user_id) for user in request.users]


def connected_to_pb(connected: Sequence[bool], from_routes: bool) -> pb.FindConnectedUsersResponse:
    """Which users are connected."""
    return pb.FindConnectedUsersResponse(connected=connected, from_routes=from_routes)


def list_to_pb(found: FoundSessions) -> pb.ListSessionsResponse:
    """The sessions of a user, for that user."""
    return pb.ListSessionsResponse(sessions=map(_session_to_pb, found.sessions), from_routes=found.from_routes)


def export_to_pb(found: FoundSessions) -> pb.ExportSessionsResponse:
    """The sessions of a user, for its export."""
    response = pb.ExportSessionsResponse()
    for one in found.sessions:
        response.records.add().Pack(_session_to_pb(one))
    return response


def _session_to_pb(session: Session) -> session_pb2.Session:
    return session_pb2.Session(
        session_id=session.session_id,
        tenant=session.tenant,
        user=session.user,
        device=session.device,
        node_id=session.node_id,
        epoch=session.epoch,
    )
