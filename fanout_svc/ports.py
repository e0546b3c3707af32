"""What fan-out needs from outside: counts, members, changes of interest, and nodes to deliver to."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from typing import Protocol

from fanout_svc.conversation_pushes import MemberList
from fanout_svc.deliverable import Deliverable
from fanout_svc.domain import Node, Topic, Totals
from fanout_svc.topics.interest import RegistryDelta


class Counts(Protocol):
    """The counts of targets."""

    async def get(self, min_versions: Mapping[Topic, int]) -> Mapping[Topic, Totals]:
        """The counts of up to 1,000 topics, each at its version or a later one.

        Leaves out topics that do not reach their version in time. Raises `errors.CountsUnreachable`.
        """
        ...


class Members(Protocol):
    """The members of conversations."""

    async def get(self, tenant: str, conversation_id: str) -> MemberList:
        """The members now. Raises `kit.errors.RemoteError`."""
        ...


class Watch(Protocol):
    """Changes of nodes and interest."""

    def deltas(self) -> AsyncGenerator[RegistryDelta, None]:
        """First the whole state, ended by `synced`, then each change in order. Ends or raises when the watch breaks."""
        ...


class Nodes(Protocol):
    """Delivers to gateway nodes; none of them waits for another.

    A delivery arrives at least once while the node is joined, unless a newer delivery of the same topic and key
    replaces it. Where deliveries without a state may be lost, the node is notified. Where the state of topics may be
    lost (the node was unreachable, or its queue was full), `on_resync` is called with its id and the topics whose state
    has to be sent again; None: all.
    """

    on_resync: Callable[[str, Collection[Topic] | None], None]

    def join(self, node: Node) -> None:
        """Delivers to this node from now on."""
        ...

    def mark_gap(self) -> None:
        """Notifies every node that it may lack changes, which cannot be sent any more."""
        ...

    def leave(self, node_id: str) -> None:
        """Forgets the node and its queue."""
        ...

    def deliver(self, update: Deliverable, node_ids: Collection[str]) -> None:
        """Queues an update for nodes; ignores ids of nodes that are not joined. Never waits."""
        ...
