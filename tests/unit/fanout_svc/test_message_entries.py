"""How fan-out follows a partition of the log of conversations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fanout_svc.config import Config
from fanout_svc.consumer import Consumer, Consumers
from fanout_svc.conversation_pushes import ItemPush, MemberList
from fanout_svc.errors import MembersNotWritten
from fanout_svc.message_entries import TOPIC, MessageEntries
from fanout_svc.own_changes import OwnChangePushes
from fanout_svc.receipts import ReceiptPushes
from fanout_svc.topics.interest import RegistryDelta
from kit.adapters.sqlite.event_log import SqliteLog, open_sqlite_log
from kit.clock import ManualClock, SystemClock
from kit.errors import Unavailable
from kit.message_ids import group_id
from plaudit.event.v1 import message_events_pb2 as pb
from tests.unit.fanout_svc.stage import Stage, staged

GROUP = group_id("default", "ann", "g")
ANN, BOB = ("default", "users/ann"), ("default", "users/bob")


class Members:
    """Answers with the members of the group, once the tables have them; `asked` counts the requests."""

    def __init__(self) -> None:
        self.asked = 0
        self.epochs = [1]
        """The epochs of the next answers; the last one stays."""
        self.failures = 0

    async def get(self, tenant: str, conversation_id: str) -> MemberList:
        self.asked += 1
        if self.failures:
            self.failures -= 1
            raise Unavailable("message_svc does not answer")
        epoch = self.epochs.pop(0) if len(self.epochs) > 1 else self.epochs[0]
        return MemberList(epoch, {"ann": (1, 0), **({"bob": (1, 0)} if epoch else {})})


class Following:
    """A log of one conversation, whose items have the numbers of their entries."""

    def __init__(self, log: SqliteLog, stage: Stage) -> None:
        self.log = log
        self.stage = stage
        self.members = Members()
        receipts = ReceiptPushes(stage.fanout.interest, stage.nodes, ManualClock())
        own_changes = OwnChangePushes(stage.fanout.interest, stage.nodes, ManualClock())
        self.entries = MessageEntries(stage.fanout, receipts, own_changes, self.members)

    async def append(self, *positions: int, epoch: int = 1, incarnation: str = "one") -> None:
        for position in positions:
            entry = pb.MessagesChanged(format=1)
            changed = entry.conversations.add(tenant="default", conversation_id=GROUP)
            changed.head.members_epoch = epoch
            changed.items.add(seq=position, type=2, actor_id="ann", content=f"{position}")
            await self.log.append(TOPIC, f"{incarnation}/0/{position}", entry.SerializeToString())

    async def started(self) -> Consumer:
        consumer = Consumer(self.log, 0, self.entries, SystemClock(), Config())
        await consumer.start()
        return consumer

    def pushed(self, user: str = "bob") -> list[int]:
        """The numbers of the items that were pushed to a user."""
        deliveries = self.stage.nodes.got["n1"]
        return [one.version for one in deliveries if isinstance(one, ItemPush) and f"users/{user}" in one.topics]


@pytest.fixture(name="on")
async def fixture_on(tmp_path: Path) -> AsyncIterator[Following]:
    async with open_sqlite_log(tmp_path / "log.db") as log, staged() as stage:
        stage.wants("n1", ANN, BOB)
        yield Following(log, stage)


async def read_all(consumer: Consumer) -> None:
    while await consumer.poll():
        pass


async def test_items_before_the_start_are_not_pushed_and_later_ones_are_once(on: Following) -> None:
    await on.append(1, 2)
    consumer = await on.started()
    await on.append(2, 3, 3, 4)
    await read_all(consumer)
    assert on.pushed("ann") == on.pushed("bob") == [3, 4]
    assert on.members.asked == 1
    assert on.stage.nodes.gaps == 0


async def test_nodes_get_a_gap_where_entries_are_missing(on: Following) -> None:
    consumer = await on.started()
    await on.append(1, 3)
    await read_all(consumer)
    assert (on.pushed(), on.stage.nodes.gaps) == ([1, 3], 1)
    await on.append(7, incarnation="two")
    await read_all(consumer)
    assert (on.pushed(), on.stage.nodes.gaps) == ([1, 3, 7], 2)


async def test_members_whose_tables_are_late_are_waited_for(on: Following) -> None:
    on.members.epochs = [0, 0, 1]
    consumer = await on.started()
    await on.append(1)
    await read_all(consumer)
    assert (on.pushed(), on.members.asked) == ([1], 3)


async def test_no_item_is_passed_over_where_members_cannot_be_read(on: Following) -> None:
    on.stage.fanout.apply_delta(RegistryDelta(synced=True))
    consumers = Consumers(on.log, on.entries, on.stage.fanout.synced, SystemClock(), Config())
    on.members.failures = 1

    async def follow() -> None:
        async with consumers.of(0):
            await on.stage.until(lambda: bool(on.pushed()))

    async def append() -> None:
        await on.append(1)

    with pytest.raises((Unavailable, ExceptionGroup)):
        await asyncio.gather(follow(), append())
    # The partition is entered again.
    await follow()
    assert on.pushed() == [1]


async def test_an_item_is_not_pushed_to_members_of_before(on: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fanout_svc.message_entries._PAUSES", (0.0, 0.0))
    consumer = await on.started()
    on.members.epochs = [0]
    await on.append(1)
    with pytest.raises(MembersNotWritten):
        await read_all(consumer)
    assert (on.pushed(), consumer.position) == ([], 0)
