"""Two clients in TypeScript chat over a real server, whose sockets are cut and which is killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.chat.cutting import CuttingProxy, cutting_proxy
from tests.flows.chat.typescript import BUNDLE, NodeProgram, node_program, require_node
from tests.flows.clients import new_user
from tests.running import Stack

PROGRAM = Path(__file__).parent / "chat_program.mjs"


@pytest.fixture(name="program")
def fixture_program() -> Iterator[NodeProgram]:
    require_node()
    with node_program(PROGRAM, BUNDLE.as_uri()) as program:
        yield program


@pytest.fixture(name="proxy")
def fixture_proxy(shared_stack: Stack) -> Iterator[CuttingProxy]:
    with cutting_proxy(shared_stack.http) as proxy:
        yield proxy


class Pair:
    """Alice, whose sockets can be cut, and Bob, with their conversation open."""

    def __init__(self, program: NodeProgram, stack: Stack, url: str) -> None:
        self.program = program
        self.alice, self.bob = new_user("alice"), new_user("bob")
        program.ask("join", name="alice", url=url, token=stack.token(self.alice))
        program.ask("join", name="bob", url=stack.http_url, token=stack.token(self.bob))
        self.id: str = program.ask("openDirect", name="alice", user=self.bob)
        for name in ("alice", "bob"):
            program.ask("open", name=name, id=self.id)

    def texts(self, name: str, count: int) -> list[str]:
        """What is shown once there are so many messages."""
        found: list[str] = self.program.ask("texts", name=name, id=self.id, count=count)
        return found


def test_two_clients_chat(program: NodeProgram, shared_stack: Stack) -> None:
    pair = Pair(program, shared_stack, shared_stack.http_url)
    program.ask("send", name="alice", id=pair.id, texts=["one", "two", "three"])
    assert pair.texts("bob", 3) == ["one", "two", "three"]
    assert program.ask("announced", name="bob") == ["one", "two", "three"]
    assert program.ask("unread", name="bob") == 3
    # A device of Bob has acknowledged them; then he reads them.
    assert program.ask("statuses", name="alice", id=pair.id, status="delivered") == 3
    program.ask("read", name="bob", id=pair.id)
    assert program.ask("statuses", name="alice", id=pair.id, status="read") == 3
    program.ask("send", name="bob", id=pair.id, texts=["four"])
    assert pair.texts("alice", 4) == ["one", "two", "three", "four"]
    program.ask("edit", name="alice", id=pair.id, text="two", content="TWO")
    assert program.ask("shows", name="bob", id=pair.id, text="TWO") == ["one", "TWO", "three", "four"]


def test_a_cut_connection_resumes_and_nothing_is_doubled_or_out_of_order(
    program: NodeProgram, shared_stack: Stack, proxy: CuttingProxy
) -> None:
    pair = Pair(program, shared_stack, proxy.url)
    expected = []
    for turn in range(5):
        mine, others = [f"alice {turn} {n}" for n in range(10)], [f"bob {turn} {n}" for n in range(10)]
        expected += mine + others
        program.ask("send", name="alice", id=pair.id, texts=mine)
        proxy.cut()  # some of them are on their way
        program.ask("send", name="bob", id=pair.id, texts=others)
        program.ask("wake", name="alice")
    shown = pair.texts("alice", len(expected))
    assert sorted(shown) == sorted(expected)
    for name in ("alice", "bob"):
        own = [text for text in expected if text.startswith(name)]
        assert [text for text in shown if text.startswith(name)] == own
    assert pair.texts("bob", len(expected)) == shown
    announced = program.ask("announced", name="alice")
    assert announced == [text for text in expected if text.startswith("bob")]
    verdicts = program.ask("verdicts", name="alice")
    assert len(verdicts) > 1
    assert set(verdicts[1:]) == {"complete"}


def test_what_was_written_offline_is_sent_in_order(
    program: NodeProgram, shared_stack: Stack, proxy: CuttingProxy
) -> None:
    pair = Pair(program, shared_stack, proxy.url)
    proxy.refuse = True
    proxy.cut()
    program.ask("state", name="alice", state="waiting")
    written = [f"offline {number}" for number in range(20)]
    program.ask("send", name="alice", id=pair.id, texts=written)
    program.ask("send", name="bob", id=pair.id, texts=["meanwhile"])
    pair.texts("bob", 1)
    proxy.refuse = False
    program.ask("wake", name="alice")
    assert pair.texts("bob", 21) == ["meanwhile", *written]
    assert pair.texts("alice", 21) == ["meanwhile", *written]
    assert program.ask("statuses", name="alice", id=pair.id, status="sent") == 20
    assert program.ask("refused", name="alice") == []


def test_a_killed_server_loses_doubles_and_reorders_nothing(program: NodeProgram, stack: Stack) -> None:
    pair = Pair(program, stack, stack.http_url)
    written = [f"{number}" for number in range(200)]
    program.ask("send", name="alice", id=pair.id, texts=written)
    pair.texts("bob", 20)
    stack.kill()
    stack.restart()
    for name in ("alice", "bob"):
        program.ask("wake", name=name)
    assert pair.texts("bob", 200) == written
    assert pair.texts("alice", 200) == written
    announced = program.ask("announced", name="bob")
    assert announced == [text for text in written if text in announced]
