"""Changes for one reader: in order, without a gap, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from plaudit_client.conversations.reader import MAX_READY, Reader
from plaudit_client.conversations.values import Change
from tests.unit.client.conversations.made import sent


class Server:
    """A conversation with `last` changes, and the numbers after which it was asked."""

    def __init__(self, last: int, first: int = 1) -> None:
        self.last, self.first = last, first
        self.asked: list[int] = []

    async def fetch(self, conversation_id: str, after: int) -> tuple[Sequence[Change], int]:
        self.asked.append(after)
        return [sent(seq) for seq in range(max(after + 1, self.first), min(after + 50, self.last) + 1)], self.last


def read_all(reader: Reader) -> list[int]:
    async def read() -> list[int]:
        found = []
        while (change := await reader.next()) is not None:
            found.append(change.message_seq)
        return found

    return asyncio.run(read())


@given(st.lists(st.integers(11, 40)), st.booleans())
def test_any_pushes_are_read_in_order_without_a_gap_and_once(pushed: list[int], reload: bool) -> None:
    server = Server(max([*pushed, 10]))
    reader = Reader(server.fetch)
    reader.begin("c1", 10, from_start=False)
    for seq in pushed:
        reader.push(sent(seq))
    if reload:
        reader.begin("c1", server.last, from_start=True)
    assert read_all(reader) == list(range(11, server.last + 1))


def test_pushes_in_order_are_not_fetched() -> None:
    server = Server(12)
    reader = Reader(server.fetch)
    reader.begin("c1", 10, from_start=False)
    for seq in (11, 12, 12):
        reader.push(sent(seq))
    assert read_all(reader) == [11, 12]
    assert server.asked == []


def test_of_a_backlog_what_was_loaded_before_its_push_is_read_once() -> None:
    server = Server(12)
    reader = Reader(server.fetch, reads_backlog=True)
    reader.begin("c1", 10, from_start=False)
    reader.push(sent(9))
    reader.push(sent(10))
    assert read_all(reader) == [9, 10, 11, 12]
    reader.push(sent(11))
    assert read_all(reader) == []


def test_pushes_that_come_again_after_a_break_are_not_read_again() -> None:
    reader = Reader(Server(11).fetch, reads_backlog=True)
    reader.begin("c1", 10, from_start=False)
    reader.settle()
    for seq in (9, 10, 11):
        reader.push(sent(seq))
    assert read_all(reader) == [11]


def test_what_a_later_load_has_is_read_once() -> None:
    reader = Reader(Server(12).fetch, reads_backlog=True)
    reader.begin("c1", 10, from_start=False)
    reader.begin("c1", 12, from_start=True)
    assert read_all(reader) == [11, 12]
    reader.push(sent(11))
    assert read_all(reader) == []


def test_a_slow_reader_keeps_a_bounded_number_and_fetches_the_rest() -> None:
    server = Server(1_000)
    reader = Reader(server.fetch)
    reader.begin("c1", 0, from_start=False)
    for seq in range(1, 1_001):
        reader.push(sent(seq))
    assert read_all(reader) == list(range(1, 1_001))
    assert server.asked[0] == MAX_READY


def test_a_conversation_that_is_new_is_read_from_the_first_change_that_the_user_may_see() -> None:
    server = Server(7, first=5)
    reader = Reader(server.fetch)
    reader.push(sent(6))
    assert read_all(reader) == [5, 6, 7]


def test_pushes_during_a_fetch_are_neither_lost_nor_doubled() -> None:
    server = Server(3)

    async def fetch(conversation_id: str, after: int) -> tuple[Sequence[Change], int]:
        answer = await server.fetch(conversation_id, after)
        if server.last == 3:
            server.last = 4
            reader.push(sent(4))
        return answer

    reader = Reader(fetch)
    reader.begin("c1", 0, from_start=False)
    reader.push(sent(3))
    assert read_all(reader) == [1, 2, 3, 4]


def test_a_conversation_that_is_gone_is_skipped() -> None:
    server = Server(3)
    reader = Reader(server.fetch)
    reader.push(sent(3))
    reader.skip()
    assert read_all(reader) == []
