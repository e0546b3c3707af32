"""Leadership by a lease: a record that all registries read and that only one at a time can replace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import structlog

from kit.clock import Clock
from kit.errors import OutcomeUnknown, Unavailable
from session_registry import lease
from session_registry.domain import Term
from session_registry.lease import Candidate, Lease
from session_registry.ports import Lead, LeaseStore

log = structlog.get_logger()
# The holder gives its lease up after this part of it by its own clock: other clocks may run a little faster.
_SAFETY = 0.9
_RELEASE_SECONDS = 1.0


class _OwnLease(NamedTuple):
    """The lease of this registry, by its monotonic clock: valid `until`; the store's time was `micros` at `read`."""

    record: Lease
    until: float
    read: float
    micros: int


class LeaseLeadership:
    """See `ports.Leadership`. A leader that cannot renew its lease steps down when the lease is over.

    No clocks are compared. A registry that wants to lead takes over a record that has not changed for a whole lease
    since it first read it; the holder's lease began earlier, when the holder asked for that record. A record that was
    lost is such a record too.
    """

    def __init__(
        self, store: LeaseStore, clock: Clock, *, name: str, address: Callable[[], str], seconds: float
    ) -> None:
        """`name` is of this process alone; `address` says where it serves, "" as long as it does not: then it does
        not stand for election. A lease lasts `seconds`."""
        self._store = store
        self._clock = clock
        self._name = name
        self._address = address
        self._seconds = seconds
        self._held: _OwnLease | None = None
        self._record: Lease | None = None
        self._record_since: float | None = None
        self._asked: tuple[tuple[int, int], float] = ((0, 0), 0.0)
        self._resigned = asyncio.Event()

    def leads(self) -> bool:
        """See `ports.Leadership`."""
        held = self._held
        return held is not None and not self._resigned.is_set() and self._clock.monotonic() < held.until

    def leader(self) -> str:
        """See `ports.Leadership`."""
        record, since = self._record, self._record_since
        if record is None or since is None or self._clock.monotonic() >= since + record.micros / 1e6:
            return ""
        return record.address if record.holder != self._name or self.leads() else ""

    def micros(self) -> int:
        """See `ports.Leadership`."""
        held = self._held
        if held is None:
            return 0
        return min(held.micros + int((self._clock.monotonic() - held.read) * 1_000_000), held.record.ceiling)

    def ceiling(self) -> int:
        """See `ports.Leadership`."""
        return self._held.record.ceiling if self._held is not None else 0

    async def campaign(self, lead: Lead, highest: Callable[[], int]) -> None:
        """See `ports.Leadership`."""
        try:
            while not self._resigned.is_set():
                acquired = bool(self._address()) and await self._acquire(highest())
                # The answer may have come when the lease was over already.
                if acquired and self._held is not None and self.leads():
                    async with lead(Term(self._held.record.term)):
                        await self._keep(highest)
                else:
                    # Soon enough to follow a leader that resigns almost at once.
                    await self._pause(self._seconds / 12)
        finally:
            await self._give_up(highest())

    def resign(self) -> None:
        """See `ports.Leadership`."""
        self._resigned.set()

    async def _keep(self, highest: Callable[[], int]) -> None:
        done = True
        while self.leads():
            await self._pause(self._seconds / 3 if done else self._seconds / 12)
            if (held := self._held) is None or not self.leads():
                return
            new = lease.renewed(self._record, held.record, self.micros(), highest())
            done = await self._replace(new, held.read, held.micros)

    async def _acquire(self, highest: int) -> bool:
        self._held = None
        try:
            record, micros = await self._store.read()
        except Unavailable as error:
            log.info("the lease cannot be read", reason=str(error))
            return False
        read = self._observe(record)
        if not self._may_acquire(read):
            return False
        me = Candidate(self._name, self._address(), round(self._seconds * 1_000_000))
        # The time was read after it was asked for: never ahead of the store's clock.
        return await self._replace(lease.acquired(record, me, micros, highest), read, micros)

    def _may_acquire(self, now: float) -> bool:
        record, since = self._record, self._record_since
        if record is not None and not record.holder:
            return True
        lasts = max(self._seconds, record.micros / 1e6 if record is not None else 0.0)
        return since is not None and now - since >= lasts

    def _observe(self, record: Lease | None) -> float:
        """Notes the record that is stored, and since when at the latest; returns the time by the monotonic clock."""
        now = self._clock.monotonic()
        if self._record_since is None or record != self._record:
            self._record, self._record_since = record, now
        return now

    async def _replace(self, new: Lease, read: float, micros: int) -> bool:
        """Stores a record of this registry in place of the one observed last; whether it now holds it."""
        number = (new.term, new.renewal)
        if self._asked[0] != number:
            self._asked = (number, self._clock.monotonic())
        try:
            record = await self._stored(new)
        except (Unavailable, OutcomeUnknown) as error:
            log.info("the lease cannot be changed", reason=str(error))
            return False
        self._observe(record)
        if record is not None and record.holder == self._name and (record.term, record.renewal) == number:
            # An earlier attempt with the same number may be the one that was stored: the lease counts from the first.
            self._held = _OwnLease(record, self._asked[1] + self._seconds * _SAFETY, read, micros)
            return True
        if record is not None and record.term > new.term:
            self._held = None
        return False

    async def _stored(self, new: Lease) -> Lease | None:
        """Asks for the replacement, and returns the record that is stored then; raises Unavailable, OutcomeUnknown."""
        with suppress(OutcomeUnknown):
            if await self._store.replace(self._record, new):
                return new
        return (await self._store.read(decided=True))[0]

    async def _give_up(self, highest: int) -> None:
        held, self._held = self._held, None
        if held is None:
            return
        try:
            # After the end of the lease another registry may lead; it must not lose its record to this one.
            async with asyncio.timeout(min(_RELEASE_SECONDS, held.until - self._clock.monotonic())):
                # A renewal under way may have been stored unnoticed; then the record after that is replaced.
                for _ in range(3):
                    last = self._record
                    if last is None or last.holder != self._name:
                        return
                    self._observe(await self._stored(lease.given_up(last, highest)))
        except (Unavailable, OutcomeUnknown, TimeoutError) as error:
            log.info("the lease could not be given up; it ends by itself", reason=str(error))

    async def _pause(self, seconds: float) -> None:
        # Not `wait_for`, which loses a cancellation that comes with what it waits for.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._resigned.wait()
