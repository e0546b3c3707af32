"""Entries that repeat, are missing or trimmed: nodes get them once, or the current state."""

from __future__ import annotations

import fanout_svc.app
from fanout_svc.config import Config
from kit.adapters.engines import Engines
from plaudit.counter.v1 import counter_service_pb2 as counter_pb
from tests.flows.crowd import StalledLog
from tests.flows.fanout.fanout_system import COUNTER, FANOUT, HOT, QUIET, FanoutSystem, fixture_system, fixture_whole

__all__ = ["fixture_system", "fixture_whole"]

REBUILD = f"/{COUNTER}/Rebuild"


async def test_if_the_log_was_trimmed_after_the_position_all_nodes_get_snapshots(system: FanoutSystem) -> None:
    deaf = StalledLog(system.log)
    fanout = system.served(FANOUT, lambda mesh: fanout_svc.app.opened(Config(), mesh, Engines(system.folder, deaf)))
    async with system.registry(), system.counter(), fanout:
        node = await system.node("n1")
        node.subscribe(HOT, QUIET)
        await node.update(HOT, 0)
        await system.crowd.act([HOT], 10)
        last = await system.crowd.act([QUIET], 10)
        await system.log.trim("reactions", last)
        deaf.listening.set()
        await node.assert_exact(system.crowd, HOT, QUIET)


async def test_repeated_entries_are_sent_once(whole: FanoutSystem) -> None:
    node = await whole.node("n1")
    node.subscribe(("default", "users/alice"), QUIET)
    await node.update(QUIET, 0)
    crowd = whole.crowd
    entries = [(crowd.next_name(), crowd.entry([crowd.toggle(HOT, "alice", emoji)])) for emoji in "👍❤😆"]
    for name, entry in (*entries, *entries[1:]):
        await whole.log.append("reactions", name, entry)
    await crowd.append([crowd.toggle(QUIET, "alice", "👍")])
    await node.assert_exact(crowd, QUIET)
    own = [(one.key, one.version) for _, one in node.receiver.got if one.type == "own_reaction_update"]
    assert [version for _, version in own] == [1, 2, 3, 1]


async def test_after_a_missing_entry_all_nodes_get_snapshots(system: FanoutSystem) -> None:
    async with system.registry(), system.counter(), system.fanout():
        node = await system.node("n1")
        node.subscribe(HOT)
        await system.crowd.act([HOT], 10)
        await node.assert_exact(system.crowd, HOT)
        system.crowd.some([HOT], 10)
        system.crowd.next_name()  # the entry with them never comes
        request = counter_pb.RebuildRequest(tenant="default", targets=[HOT[1]]).SerializeToString()
        await (await system.mesh()).call(REBUILD, request, timeout=20)
        await system.crowd.act([QUIET], 1)
        await node.assert_exact(system.crowd, HOT)


async def test_a_restored_ledger_is_followed_from_its_first_entry(whole: FanoutSystem) -> None:
    node = await whole.node("n1")
    node.subscribe(HOT, QUIET)
    await node.update(HOT, 0)
    for _ in range(3):
        await whole.crowd.act([HOT, QUIET], 10)
    await node.assert_exact(whole.crowd, HOT, QUIET)
    whole.crowd.restore()
    await whole.crowd.act([HOT, QUIET], 10)
    await node.assert_exact(whole.crowd, HOT, QUIET)
