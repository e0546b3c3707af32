"""A session is followed from node to node: by its resume token, by forwarding nodes, and by the session registry."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gateway.errors import NoSuchSession
from gateway.sessions.handover import EMPTY_SNAPSHOT, Moved, SessionSnapshot
from gateway.sessions.resume_token import Claim
from gateway.sessions.session_locator import SessionLocator
from kit.errors import Unavailable

SNAPSHOT = SessionSnapshot(seq=7)
GONE, UNKNOWN = Unavailable("the node does not respond"), NoSuchSession("the node does not have the session")
Answer = SessionSnapshot | Moved | Exception


class OtherNodes:
    """See `session_locator.RemoteSessions`. Each node has one answer to every request."""

    def __init__(self, answers: Mapping[str, Answer], registered: str = "") -> None:
        self.called: list[str] = []
        self._answers = answers
        self._registered = registered

    async def take_over(self, node_id: str, tenant: str, user: str, session_id: str) -> SessionSnapshot | Moved:
        assert (tenant, user, session_id) == ("acme", "alice", "s1")
        self.called.append(node_id)
        answer = self._answers[node_id]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def registered_node(self, tenant: str, user: str, session_id: str) -> str:
        assert (tenant, user, session_id) == ("acme", "alice", "s1")
        return self._registered


async def located(nodes: OtherNodes, *, claimed: str = "n1", forwarding: str = "") -> SessionSnapshot | None:
    """What the node `here` finds of a session whose resume token names the node `claimed`."""
    locator = SessionLocator("here", nodes, lambda _: forwarding)
    return await locator.take_over("acme", "alice", Claim("s1", claimed, "phone"))


async def test_the_node_of_the_resume_token_is_called_first() -> None:
    nodes = OtherNodes({"n1": SNAPSHOT})
    assert await located(nodes) is SNAPSHOT
    assert nodes.called == ["n1"]


async def test_the_node_that_the_session_moved_to_is_called_before_that_of_the_token() -> None:
    nodes = OtherNodes({"n2": SNAPSHOT})
    assert await located(nodes, forwarding="n2") is SNAPSHOT
    assert nodes.called == ["n2"]


async def test_a_session_that_moves_during_the_search_is_followed() -> None:
    nodes = OtherNodes({"n1": Moved("n2"), "n2": Moved("n3"), "n3": SNAPSHOT})
    assert await located(nodes) is SNAPSHOT
    assert nodes.called == ["n1", "n2", "n3"]


@pytest.mark.parametrize("answer", [GONE, UNKNOWN, Moved("n1"), Moved("here")])
async def test_the_registry_names_the_node_where_no_other_node_does(answer: Answer) -> None:
    nodes = OtherNodes({"n1": answer, "n2": SNAPSHOT}, registered="n2")
    assert await located(nodes) is SNAPSHOT
    assert nodes.called == ["n1", "n2"]


async def test_a_session_that_has_left_this_node_is_looked_up_in_the_registry() -> None:
    nodes = OtherNodes({"n2": SNAPSHOT}, registered="n2")
    assert await located(nodes, claimed="here") is SNAPSHOT


async def test_a_session_whose_node_is_gone_has_an_empty_snapshot() -> None:
    assert await located(OtherNodes({"n1": GONE})) is EMPTY_SNAPSHOT
    assert await located(OtherNodes({"n1": GONE}, registered="n1")) is EMPTY_SNAPSHOT


async def test_a_session_that_its_node_does_not_have_does_not_exist() -> None:
    assert await located(OtherNodes({"n1": UNKNOWN})) is None
    assert await located(OtherNodes({}), claimed="here") is None


async def test_the_search_for_a_session_ends_after_four_nodes() -> None:
    nodes = OtherNodes({f"n{number}": Moved(f"n{number + 1}") for number in range(1, 9)})
    assert await located(nodes) is EMPTY_SNAPSHOT
    assert nodes.called == ["n1", "n2", "n3", "n4"]
