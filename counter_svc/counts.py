"""The counts of one partition of the log: folded and read in memory, saved behind the fold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from counter_svc.config import Config
from counter_svc.domain import Batch, Fold, Folded, Key, Totals
from counter_svc.errors import Moved, NotCaughtUp
from counter_svc.ports import CountStore
from counter_svc.waiting import Waiters


class Counts:
    """The counts of a partition's targets: the fold in memory over the store, read and written through one lock.

    Only loading waits under the lock; folding and reading are single steps of the event loop, so that what is read
    together belongs together. `wanted` is set when somebody waits for what the log may already have.
    """

    def __init__(
        self,
        store: CountStore,
        position: int,
        config: Config,
        *,
        told: Callable[[Counts, Iterable[Key], set[Key]], None],
        serving: Callable[[], None],
        room: Callable[[], int],
    ) -> None:
        """`told` hears which targets have news, and which of these were wrong at their version or a later one.

        `serving` hears once that the fold has caught up with the log;
        `room` says how many targets may stay in memory.
        """
        self.wanted = asyncio.Event()
        self._store = store
        self._patience = config.patience_seconds
        self._told = told
        self._on_serving = serving
        self._room = room
        self._fold = Fold(position)
        self._loading = asyncio.Lock()
        self._saving = asyncio.Lock()
        self._saved_position = position
        self._saved_at = asyncio.get_running_loop().time()
        self._published: int | None = None
        self._resume_at: int | None = None
        self._serve_at: int | None = None
        self._waiters = Waiters()
        self._checks: dict[Key, asyncio.Future[bool]] = {}
        self.serving = False

    @property
    def position(self) -> int:
        """The log position everything up to which is counted."""
        return self._fold.position

    @property
    def in_memory(self) -> int:
        """How many targets are in memory."""
        return len(self._fold)

    @property
    def saved_position(self) -> int:
        """The log position of the last save."""
        return self._saved_position

    @property
    def age(self) -> float:
        """Seconds since everything was saved."""
        return asyncio.get_running_loop().time() - self._saved_at

    def keys(self) -> list[Key]:
        """The targets in memory."""
        return self._fold.keys()

    def peek(self, key: Key) -> Totals | None:
        """The counts of a target where it is in memory, which does not keep it there."""
        return self._fold.peek(key)

    def serve_at(self, position: int) -> None:
        """Says that the fold has caught up once it is at this position. The first such word holds."""
        if self._serve_at is None:
            self._serve_at = position
            self._look_whether_serving()

    def ready(self, keys: Sequence[Key], min_versions: Sequence[int] = ()) -> list[Totals] | None:
        """The counts in order, where all are in memory and at those versions; None otherwise. Never waits."""
        totals = self._fold.totals
        found: list[Totals] = []
        for key in keys:
            value = totals(key)
            if value is None:
                return None
            found.append(value)
        for value, least in zip(found, min_versions, strict=False):
            if value.version < least:
                return None
        return found

    async def get(
        self, keys: Sequence[Key], min_versions: Sequence[int] = (), timeout: float | None = None
    ) -> list[Totals]:
        """The counts of the targets in order, each at its least version or a later one.

        Waits at most `timeout` seconds (and never longer than the configured patience); raises `NotCaughtUp` then,
        and `Moved` where the partition goes to another node meanwhile.
        """
        found = self.ready(keys, min_versions)
        if found is not None:
            return found
        patience = self._patience
        try:
            async with asyncio.timeout(patience if timeout is None else min(timeout, patience)):
                while True:
                    await self._admit(keys)
                    found = self.ready(keys, min_versions)
                    if found is not None:
                        return found
                    await self._reached(keys, min_versions)
        except TimeoutError:
            raise NotCaughtUp("the counts have not reached the version asked for", retry_after=0.1) from None

    async def absorb(self, batches: Sequence[Batch]) -> Folded:
        """Counts log records and wakes whoever waits for them."""
        if self._fold.unsaved > self._room():
            await self.save()  # memory is bounded: where the store is slow or full, the fold waits for it
        keys = {(change[0], change[1]) for _, changes in batches for change in changes}
        async with self._loading:
            await self._load(keys)
            done = self._fold.fold(batches)
            # What is folded again after a take-over may be what the node before has saved and not published.
            self._tell(done, done.changed if self.serving else keys)
            self._look_whether_serving()
        return done

    async def caught_up_to(self, position: int, timeout: float) -> None:
        """Waits until the fold is at a log position; raises TimeoutError after `timeout` seconds."""
        if self._fold.position < position:
            self.wanted.set()
            async with asyncio.timeout(timeout):
                await self._waiters.for_position(position)

    async def save(self) -> int:
        """Saves what has changed, and then the position it belongs to; returns how many targets were saved."""
        async with self._saving:
            position = self._fold.position if self._resume_at is None else self._resume_at
            if self._published is not None:
                position = min(position, max(self._published, self._saved_position))
            changed = self._fold.unsaved_totals()
            if changed or position != self._saved_position:
                await self._store.save(changed, position, self._fold.corrected & changed.keys())
                self._fold.saved(changed)
                self._saved_position = position
            self._saved_at = asyncio.get_running_loop().time()
        async with self._loading:  # what somebody has just loaded in order to use it must not go
            self._evict()
        return len(changed)

    def published(self, position: int) -> None:
        """Says that all changes up to a position are where other nodes read them.

        Once this was said, saved positions do not go beyond it: whoever takes over publishes the rest.
        """
        self._published = position

    def skip_to(self, position: int) -> None:
        """Goes on from another log position because records up to it are gone.

        Until `rebuilt`, saves keep the old position: a crash in between finds the gap again.
        """
        if self._resume_at is None:
            self._resume_at = self._saved_position
        self._fold.position = position
        self._look_whether_serving()

    def rebuilt(self) -> None:
        """Says that all targets have been counted anew since `skip_to`."""
        self._resume_at = None

    async def versions(self, keys: Sequence[Key]) -> list[int]:
        """The version each target is folded to."""
        return [value.version for value in await self.get(keys)]

    async def check(self, truths: Sequence[tuple[Key, Totals]]) -> dict[Key, asyncio.Future[bool] | None]:
        """Compares targets with what the records said, each at exactly that version; adopts it where it differs.

        A future tells whether the target had drifted, once the fold is at the version. None: the fold is beyond it.
        """
        found: dict[Key, asyncio.Future[bool] | None] = {}
        async with self._loading:
            await self._load(key for key, _ in truths)
            for key, truth in truths:
                try:
                    done = self._fold.expect(key, truth)
                except ValueError:
                    found[key] = None
                    continue
                self._checks[key] = found[key] = asyncio.get_running_loop().create_future()
                if done is not None:
                    self._tell(done)
        return found

    async def adopt(self, truths: Sequence[tuple[Key, Totals]], at: Mapping[Key, int] | None = None) -> set[Key]:
        """Takes what the records said where the fold is behind it, or still at the version given in `at`.

        Returns the targets it was not the same for.
        """
        drifted: set[Key] = set()
        async with self._loading:
            await self._load(key for key, _ in truths)
            for key, truth in truths:
                version = self._fold.version(key) or 0
                if version < truth.version or (at is not None and version == at[key]):
                    done = self._fold.adopt(key, truth)
                    self._tell(done)
                    drifted |= done.drifted
        return drifted

    def forget(self, keys: Iterable[Key]) -> None:
        """Drops checks that will not end."""
        for key in keys:
            self._fold.forget(key)
            future = self._checks.pop(key, None)
            if future is not None:
                future.cancel()

    async def saved_keys(self, after: Key | None, limit: int) -> Sequence[Key]:
        """Up to `limit` targets that have ever been saved, in key order, behind `after`."""
        return await self._store.keys(after, limit)

    async def saved(self, keys: Sequence[Key]) -> Mapping[Key, Totals]:
        """The saved counts of those targets that have any."""
        return await self._store.load(keys)

    def close(self) -> None:
        """Ends all waits with `Moved`: another node folds the partition from now on."""
        self.serving = False
        self._waiters.end(Moved("another node counts this now", retry_after=0.05))

    async def _reached(self, keys: Sequence[Key], min_versions: Sequence[int]) -> None:
        unmet: dict[Key, int] = {}
        for key, least in zip(keys, min_versions, strict=False):
            version = self._fold.version(key)
            if version is not None and version < least:
                unmet[key] = max(least, unmet.get(key, 0))
        if unmet:
            self.wanted.set()
            await self._waiters.for_versions(unmet)

    async def _admit(self, keys: Sequence[Key]) -> None:
        async with self._loading:
            if len(self._fold) > self._room() + len(keys):
                self._evict()
            await self._load(keys)

    async def _load(self, keys: Iterable[Key]) -> None:
        missing = self._fold.missing(keys)
        if missing:
            known = await self._store.load(missing)
            nothing = Totals()
            for key in missing:
                self._fold.admit(key, known.get(key, nothing))

    def _evict(self) -> None:
        self._fold.evict(self._room())

    def _look_whether_serving(self) -> None:
        if not self.serving and self._serve_at is not None and self._fold.position >= self._serve_at:
            self.serving = True
            self._on_serving()

    def _tell(self, done: Folded, news: Iterable[Key] | None = None) -> None:
        for key in [key for key in self._checks if not self._fold.expects(key)] if self._checks else ():
            future = self._checks.pop(key)
            if not future.done():
                future.set_result(key in done.drifted)
        self._waiters.tell(done.changed, self._fold)
        self._told(self, done.changed if news is None else news, done.corrected)
