"""Nodes, sessions and topics for tests of the table."""

from __future__ import annotations

from session_registry.domain import (
    Instant,
    Node,
    Session,
    Topic,
)

NOON = Instant(1_700_000_000_000_000, 0.0)
ROOM = Topic("acme", "messages/1")


def node(name: str) -> Node:
    return Node(name, f"{name}:1", ("plaudit.gateway.v1.NodeService",))


def login(session_id: str, device: str = "phone", epoch: int = 0, user: str = "alice") -> Session:
    return Session(session_id, "acme", user, device, epoch=epoch)


def ids(sessions: tuple[Session, ...]) -> list[tuple[str, str]]:
    return [(session.node_id, session.session_id) for session in sessions]
