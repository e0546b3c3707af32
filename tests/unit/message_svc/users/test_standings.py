"""What is cached of users, and until when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kit.clock import ManualClock
from kit.errors import Unavailable
from kit.message_ids import direct_id
from message_svc.ports import Sender
from message_svc.users.domain import Preferences
from message_svc.users.ports import Standing
from message_svc.users.standings import Standings

ALICE, BOB = ("acme", "alice"), ("acme", "bob")


class Store:
    """A store that says who is blocked with whom; a load waits for `may_go_on`."""

    def __init__(self) -> None:
        self.blocked: dict[str, frozenset[str]] = {}
        self.loads: list[str] = []
        self.is_down = False
        self.is_asked = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def enter(self, tenant: str, user: str, now_ms: int) -> Standing:
        self.loads.append(user)
        self.is_asked.set()
        found = Standing(Preferences(), self.blocked.get(user, frozenset()))
        await self.may_go_on.wait()
        if self.is_down:
            raise Unavailable("the store is down")
        return found


def standings(store: Any, clock: ManualClock | None = None, **limits: Any) -> Standings:
    return Standings(store, clock or ManualClock(), **{"max_users": 10, **limits})


async def test_a_user_is_loaded_once() -> None:
    store = Store()
    store.blocked["alice"] = frozenset({"bob"})
    cache = standings(store)
    assert cache.cached(ALICE) is None
    expected = Sender(True, frozenset({direct_id("acme", "alice", "bob")}))
    assert await cache.load(ALICE) == expected
    assert cache.cached(ALICE) == expected
    assert store.loads == ["alice"]


async def test_a_change_during_a_load_is_not_hidden_by_it() -> None:
    store = Store()
    cache = standings(store)
    store.may_go_on.clear()
    loading = asyncio.create_task(cache.load(ALICE))
    await asyncio.wait_for(store.is_asked.wait(), 10)
    store.blocked["alice"] = frozenset({"bob"})
    cache.forget(ALICE, BOB)
    store.may_go_on.set()
    assert (await loading).blocked_conversations == frozenset()  # it began before the change
    assert cache.cached(ALICE) is None
    assert len((await cache.load(ALICE)).blocked_conversations) == 1


async def test_cached_values_are_read_again_after_their_lifetime() -> None:
    store, clock = Store(), ManualClock()
    cache = standings(store, clock, fresh_seconds=1.0)
    await cache.load(ALICE)
    clock.advance(0.9)
    assert cache.cached(ALICE) is not None
    clock.advance(0.2)
    assert cache.cached(ALICE) is None


async def test_without_a_store_the_last_known_value_is_used() -> None:
    store, clock = Store(), ManualClock()
    store.blocked["alice"] = frozenset({"bob"})
    cache = standings(store, clock, fresh_seconds=1.0)
    known = await cache.load(ALICE)
    clock.advance(2.0)
    store.is_down = True
    assert await cache.load(ALICE) == known
    # Of a user that is not known: messages go on, and what it has read stays private.
    assert await cache.load(BOB) == Sender(read_receipts=False)
    assert cache.cached(BOB) is None


@pytest.mark.parametrize("users", [3, 4])
async def test_the_user_that_was_loaded_first_is_dropped_first(users: int) -> None:
    cache = standings(Store(), max_users=3)
    for number in range(users):
        await cache.load(("acme", f"user-{number}"))
    assert (cache.cached(("acme", "user-0")) is None) is (users > 3)
    assert cache.cached(("acme", f"user-{users - 1}")) is not None
