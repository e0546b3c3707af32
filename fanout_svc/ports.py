"""What fan-out needs from outside: counts, news of interest, and nodes to deliver to."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from typing import Protocol

from fanout_svc.domain import Hears, Node, OwnUpdate, Topic, Totals, Update
from fanout_svc.interest import News


class Counts(Protocol):
    """Knows the counts of targets."""

    async def get(self, wanted: Mapping[Topic, int]) -> Mapping[Topic, Totals]:
        """The counts of up to 1,000 topics, each at its version or a later one.

        A topic whose counts are not that far in time is left out. Raises `errors.CountsUnreachable`.
        """
        ...


class Watch(Protocol):
    """Brings news of nodes and interest."""

    def news(self) -> AsyncGenerator[News, None]:
        """First all there is, ended by `synced`, then every change in order. Ends or raises when the watch breaks."""
        ...


class Nodes(Protocol):
    """Delivers to gateway nodes; none of them waits for another.

    What was delivered arrives at least once while the node is joined, or is overtaken by a newer delivery of the same
    topic and key. Where an update of a person's own could be lost all the same, the node is told so. Where the state of
    topics could (the node was away, or far behind), `on_behind` is called with its id and the topics whose state it has
    to be told again; None: all.
    """

    on_behind: Callable[[str, Collection[Topic] | None], None]

    def join(self, node: Node) -> None:
        """Delivers to this node from now on."""
        ...

    def missed(self) -> None:
        """Changes were missed that nobody can tell any more: every node learns that it may lack some."""
        ...

    def leave(self, node_id: str) -> None:
        """Forgets the node and all that waits for it."""
        ...

    def deliver(self, update: Update | OwnUpdate | Hears, node_ids: Collection[str]) -> None:
        """Has an update delivered to nodes; ids of nodes that are not joined are ignored. Never waits."""
        ...
