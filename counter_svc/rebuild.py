"""Counting anew from the records, while counting goes on; and looking for drift."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import structlog

from counter_svc import metrics
from counter_svc.counts import Counts
from counter_svc.domain import Key, Rebuilt, Totals
from counter_svc.ports import Records

log = structlog.get_logger()
CHUNK = 1_000
_ATTEMPTS = 5
_PAUSE = 0.05
_PATIENCE = 5.0
# Where records are saved before their log record is: how long that may take.
_GRACE = 1.0
_SUSPECTS = 100_000
_RECENT = 10_000


class Rebuild:
    """Compares targets with their records at equal versions and adopts the records' counts where they differ.

    The hand-over: records counted at version v are compared when the fold is exactly at v. A fold behind v gets there,
    because the log has every change the records have; a fold ahead of v asks the records again.
    """

    def __init__(
        self,
        counts: Counts,
        records: Records,
        last_position: Callable[[], Awaitable[int]],
        is_own: Callable[[Key], bool] = lambda _: True,
    ) -> None:
        """`is_own` says whether a target is of the partition that is counted."""
        self._counts = counts
        self._records = records
        self._last_position = last_position
        self._is_own = is_own
        self._one_at_a_time = asyncio.Lock()
        self._suspects: dict[Key, None] = {}
        self._recent: dict[Key, None] = {}
        self._all_needed = False
        self._gap = False
        self._needed = asyncio.Event()

    def suspect(self, keys: Iterable[Key]) -> None:
        """Has targets counted anew soon."""
        self._suspects.update(dict.fromkeys(keys))
        if len(self._suspects) > _SUSPECTS:
            self._suspects.clear()
            self._all_needed = True
        self._needed.set()

    def need_all(self) -> None:
        """Has all targets counted anew soon."""
        self._all_needed = True
        self._needed.set()

    def note(self, changed: Iterable[Key]) -> None:
        """Remembers, of the lately changed targets, as many as a sample can be taken from."""
        for key in changed:
            if len(self._recent) >= _RECENT:
                return
            self._recent[key] = None

    async def rebuild(self, keys: Sequence[Key], found_by: str = "rebuild") -> Rebuilt:
        """Counts these targets anew. Raises `RecordsUnreachable`; then some may be done and repeating is harmless."""
        unique = list(dict.fromkeys(keys))
        drifted = 0
        for start in range(0, len(unique), CHUNK):
            drifted += await self._chunk(unique[start : start + CHUNK], found_by)
        return Rebuilt(len(unique), drifted)

    async def rebuild_all(self) -> Rebuilt:
        """Counts all targets of all tenants anew: those the records know, and those only the counts know."""
        return await rebuild_everything([self], self._records)

    async def rebuild_own(self, page: Sequence[Key]) -> Rebuilt:
        """As `rebuild`, for those of a page of targets that are counted here."""
        return await self.rebuild([key for key in page if self._is_own(key)])

    async def rebuild_saved(self) -> int:
        """Counts anew what was ever saved; returns how many of them had drifted."""
        await self._counts.save()
        drifted = 0
        after: Key | None = None
        while keys := await self._counts.saved_keys(after, CHUNK):
            drifted += await self._chunk(keys, "rebuild")
            after = keys[-1]
        return drifted

    async def heal(self) -> None:
        """Counts anew what was asked for by `suspect` and `need_all`, until it is cancelled."""
        while True:
            await self._needed.wait()
            self._needed.clear()
            try:
                if self._all_needed:
                    self._all_needed = False
                    done = await self._whole()
                    if self._suspects:
                        self._needed.set()
                else:
                    done = await self._some()
            except BaseException:
                self._needed.set()
                raise
            log.info("counted anew", targets=done.targets, drifted=done.drifted)

    async def look_for_drift(self, interval: float, sample: int) -> None:
        """Compares some of the lately changed targets every `interval` seconds until it is cancelled."""
        while True:
            await asyncio.sleep(interval)
            await self.check_sample(sample)

    async def check_sample(self, sample: int) -> Rebuilt:
        """Compares up to `sample` of the targets changed since the last time."""
        recent, self._recent = list(self._recent), {}
        done = await self.rebuild(random.sample(recent, min(sample, len(recent))), "sample")
        metrics.CHECKED.inc(done.targets)
        if done.drifted:
            log.error("counts had drifted from the records", targets=done.targets, drifted=done.drifted)
        return done

    async def _whole(self) -> Rebuilt:
        self._gap = True  # what the log does not have will not come
        try:
            done = await self.rebuild_all()
        except BaseException:
            self._all_needed = True
            raise
        finally:
            self._gap = False
        if not self._all_needed:  # else another gap came up meanwhile, and this round may have missed it
            self._counts.rebuilt()
        return done

    async def _some(self) -> Rebuilt:
        keys = list(self._suspects)
        done = await self.rebuild(keys, "fold")
        for key in keys:
            self._suspects.pop(key, None)
        return done

    async def _chunk(self, keys: Sequence[Key], found_by: str) -> int:
        async with self._one_at_a_time:
            # A sample only looks for what is wrong: where the log is late, the counts are too, and that is all.
            drifted = await self._settle(keys, adopt_late=found_by != "sample")
        metrics.drifted(found_by, len(drifted))
        return len(drifted)

    async def _settle(self, keys: Sequence[Key], *, adopt_late: bool) -> set[Key]:
        drifted: set[Key] = set()
        left = list(keys)
        for attempt in range(_ATTEMPTS):
            before = dict(zip(left, await self._counts.versions(left), strict=True))
            truths = dict(zip(left, await self._records.tally(left), strict=True))
            checks = await self._counts.check(list(truths.items()))
            drifted |= await self._checked(checks, truths, adopt_late=adopt_late)
            left = [key for key, check in checks.items() if check is None or (adopt_late and check.cancelled())]
            if not left:
                break
            if attempt + 1 == _ATTEMPTS:
                # The fold was ahead of the records before they were asked: no change that exists made it so.
                wrong = [(key, truths[key]) for key in left if truths[key].version < before[key]]
                drifted |= await self._counts.adopt(wrong, before)
                log.error("counts claim versions that the records do not have", targets=len(wrong), left=len(left))
            await asyncio.sleep(_PAUSE)
        return drifted

    async def _checked(
        self, checks: Mapping[Key, asyncio.Future[bool] | None], truths: Mapping[Key, Totals], *, adopt_late: bool
    ) -> set[Key]:
        pending = {key: check for key, check in checks.items() if check is not None}
        if not all(check.done() for check in pending.values()):
            try:
                # Normally what the records have counted is on the log by now.
                await self._counts.caught_up_to(await self._last_position(), _PATIENCE)
            except TimeoutError:
                self._counts.forget(key for key, check in pending.items() if not check.done())
            else:
                await self._grace(pending.values())
                if adopt_late:
                    await self._counts.adopt([(key, truths[key]) for key, check in pending.items() if not check.done()])
                self._counts.forget(key for key, check in pending.items() if not check.done())
        return {key for key, check in pending.items() if not check.cancelled() and check.result()}

    async def _grace(self, checks: Iterable[asyncio.Future[bool]]) -> None:
        late = [check for check in checks if not check.done()]
        if late and not self._gap:
            await asyncio.wait(late, timeout=_GRACE)


async def rebuild_everything(rebuilds: Sequence[Rebuild], records: Records) -> Rebuilt:
    """Counts all targets of some partitions anew, in one pass over the records."""
    targets = drifted = 0
    token = ""
    while True:
        page, token = await records.tally_all(token)
        keys = [key for key, _ in page]
        for rebuild in rebuilds:
            done = await rebuild.rebuild_own(keys)
            targets += done.targets
            drifted += done.drifted
        if not token:
            break
    for rebuild in rebuilds:
        drifted += await rebuild.rebuild_saved()
    return Rebuilt(targets, drifted)
