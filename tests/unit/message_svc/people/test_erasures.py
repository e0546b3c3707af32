"""Erasures call every part until nothing is left, whatever fails meanwhile; exports follow the parts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from kit.auth.cursor import Cursors, InvalidCursor
from kit.clock import ManualClock
from kit.errors import Unavailable
from kit.tasks import background, task_scope
from kit.tenant_keys import UserKey
from message_svc.people import erasures
from message_svc.people.erasures import Erasures
from message_svc.people.exports import Exports
from message_svc.people.ports import Progress
from message_svc.users.ports import PendingErasure

PAT = ("acme", "pat")


class Store:
    """See `users.ports.ErasureStore`."""

    def __init__(self) -> None:
        self.pending: dict[UserKey, int] = {}
        self.recorded: list[int] = []
        self.is_empty = asyncio.Event()

    async def add_erasure(self, tenant: str, user: str, now_ms: int) -> None:
        self.pending.setdefault((tenant, user), 0)

    async def claim_erasures(self, before_ms: int, now_ms: int, limit: int) -> Sequence[PendingErasure]:
        return [PendingErasure(*key, erased) for key, erased in self.pending.items()]

    async def record_erasure(self, tenant: str, user: str, now_ms: int, erased: int) -> None:
        self.pending[tenant, user] = erased
        self.recorded.append(erased)

    async def remove_erasure(self, tenant: str, user: str) -> None:
        self.pending.pop((tenant, user), None)
        self.is_empty.set()


class Part:
    """Erases one record a call, and fails where it is told to."""

    def __init__(self, name: str, records: int, failures: int = 0) -> None:
        self.name = name
        self.left = records
        self._failures = failures
        self.calls = 0

    async def erase(self, key: UserKey) -> Progress:
        self.calls += 1
        if self._failures:
            self._failures -= 1
            raise Unavailable("not now", retry_after=0.0)
        erased = min(self.left, 1)
        self.left -= erased
        return Progress(erased, not self.left)

    async def page(self, key: UserKey, token: str) -> tuple[Sequence[Any], str]:
        number = int(token or 0)
        return [f"{self.name} {number}"], str(number + 1) if number + 1 < self.left else ""


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasures, "_RETRY_SECONDS", 0.0)


async def test_a_part_that_fails_is_repeated_and_the_first_one_is_erased_again() -> None:
    store, sessions, messages = Store(), Part("sessions", 1), Part("messages", 3, failures=2)
    async with task_scope() as tasks:
        assert await Erasures(store, [sessions, messages], ManualClock(), tasks).erase(*PAT) == (4, True)
    assert (sessions.calls, messages.calls, store.pending) == (2, 5, {})


async def test_an_erasure_of_an_earlier_process_is_finished_without_a_call() -> None:
    store, messages = Store(), Part("messages", 2)
    store.pending[PAT] = 5
    async with task_scope() as tasks:
        begun = Erasures(store, [messages], ManualClock(), tasks)
        async with background(begun.run()), asyncio.timeout(10):
            await store.is_empty.wait()
    assert (messages.left, store.recorded) == (0, [6, 7, 7])


async def test_an_export_has_all_pages_of_all_parts_in_the_order_of_their_names() -> None:
    exports = Exports([Part("b", 2), Part("a", 3)], Cursors(b"secret", ManualClock(), 60.0))
    found: list[Any] = []
    token, pages = "", 0
    while token or not pages:
        records, token = await exports.page(PAT, PAT, token)
        found += records
        pages += 1
    assert found == ["a 0", "a 1", "a 2", "b 0", "b 1"]
    with pytest.raises(InvalidCursor):
        await exports.page(("acme", "eve"), PAT, (await exports.page(PAT, PAT, ""))[1])
