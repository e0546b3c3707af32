"""Blocks with a key in common run one after the other, also where one of them is cancelled while it waits."""

from __future__ import annotations

import asyncio

import pytest

from message_svc.service.turns import Turns


class Blocks:
    """Blocks that run until they are let go; `entered` has their names, in the order in which they entered."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.entered: list[str] = []
        self._gates: dict[str, asyncio.Event] = {}

    def start(self, name: str, *keys: str) -> asyncio.Task[None]:
        gate = self._gates[name] = asyncio.Event()

        async def block() -> None:
            async with self.turns.of(keys):
                self.entered.append(name)
                await gate.wait()

        return asyncio.create_task(block())

    def let_go(self, name: str) -> None:
        self._gates[name].set()


async def settle() -> None:
    """Lets all tasks run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_blocks_with_a_key_in_common_run_in_the_order_of_the_calls() -> None:
    blocks = Blocks()
    tasks = [blocks.start("1", "a", "b"), blocks.start("2", "b", "c"), blocks.start("3", "c"), blocks.start("4", "d")]
    await settle()
    assert blocks.entered == ["1", "4"]
    blocks.let_go("1")
    await settle()
    assert blocks.entered == ["1", "4", "2"]
    for name in "234":
        blocks.let_go(name)
    await asyncio.gather(*tasks)
    assert blocks.entered == ["1", "4", "2", "3"]
    assert not any(blocks.turns.is_waited_for(key) for key in "abcd")


async def test_a_block_that_is_cancelled_while_it_waits_lets_none_pass_those_before_it() -> None:
    blocks = Blocks()
    tasks = [blocks.start("1", "a"), blocks.start("2", "b"), blocks.start("3", "a", "b"), blocks.start("4", "a", "b")]
    await settle()
    tasks[2].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[2]
    await settle()
    assert blocks.entered == ["1", "2"]
    assert blocks.turns.is_waited_for("a")
    blocks.let_go("2")
    await settle()
    assert blocks.entered == ["1", "2"]
    blocks.let_go("1")
    blocks.let_go("4")
    await asyncio.gather(*tasks, return_exceptions=True)
    assert blocks.entered == ["1", "2", "4"]
    assert not blocks.turns.is_waited_for("a")
    assert not any(task.exception() for task in tasks if not task.cancelled())
