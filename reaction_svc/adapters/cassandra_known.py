"""The targets a process knows: loaded when they are needed, trusted as long as Redis agrees."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from itertools import islice

import structlog

from kit.errors import Problem, Unavailable
from reaction_svc.adapters.cassandra_batch import BUCKETS, Head
from reaction_svc.adapters.cassandra_rows import Key, Rows
from reaction_svc.adapters.redis_hot import Hot, Lost, Standing
from reaction_svc.domain import Done, Draft
from reaction_svc.heat import Heat, HeatRule
from reaction_svc.metrics import HOT_TARGETS
from reaction_svc.opids import Floor

_MAX_TARGETS = 10_000
_MAX_PEOPLE = 200_000
_MAX_ANSWERS = 40_000  # of one target
_ANY_TIME = 1 << 62
_PAUSE_SECONDS = 0.004
# How long targets may take to be still, and how long others are held off so that they are.
_LOAD_SECONDS, _CLAIM_SECONDS = 3.0, 2.0
# How long others that were met are expected to be there still.
_CONTESTED_SECONDS = 5.0
log = structlog.get_logger()


class Kept(Draft):
    """A target as it stands with `token` in Redis. `done` has the answers that `unsure` does not know of."""

    __slots__ = ("after", "buckets", "complete", "heat", "is_new", "spread", "stamp", "token", "unsure", "used")

    def __init__(self, key: Key, standing: Standing, head: Head | None, heat: Heat) -> None:
        self.done: dict[str, Done] = {}
        super().__init__(*key, head.version if head else 0, head.counts if head else {})
        self.token = standing.token
        self.heat = heat
        # Nobody has reacted before: who is not in `held` holds nothing. `complete`: op_ids not in `done` are new.
        self.is_new = self.complete = head is None
        self.stamp, self.buckets, self.spread = (head.stamp, head.buckets, head.spread) if head else (0, 1, 1)
        # The op_ids ever used, and those of them that may be missing in `done`.
        self.used = Floor(head.highest, head.ahead) if head else Floor()
        self.unsure = Floor(head.highest, head.ahead) if head else Floor()
        self.after: tuple[str, int] | None = None

    def begin(self) -> None:
        """Begins a batch; answers given stay known."""
        self.changed = {}
        self.new_ops = []
        self.facts = []

    def surely_new(self, op_id: str) -> bool:
        """Whether an op_id that is not in `done` was never used here."""
        return self.complete or self.unsure.surely_new(op_id)

    def warm(self, changes: int, now: float) -> None:
        """Notes how much it is changed, at `now`, monotonic seconds: a hot target's records go to many places."""
        was_hot = self.heat.hot
        hot = self.heat.note(changes, now)
        self.buckets = BUCKETS if hot else 1
        self.spread = max(self.spread, self.buckets)
        if hot != was_hot:
            HOT_TARGETS.inc() if hot else HOT_TARGETS.dec()
            log.info("target is hot" if hot else "target is no longer hot", tenant=self.tenant, target=self.target)

    def forget_answers(self) -> None:
        """Keeps the newest answers to its op_ids, half of what may be kept, where there are too many."""
        if len(self.done) <= _MAX_ANSWERS:
            return
        self.complete = False
        gone = list(islice(self.done, len(self.done) - _MAX_ANSWERS // 2))
        self.done = dict(islice(self.done.items(), len(gone), None))
        ahead = self.used.ahead.intersection(gone)
        self.unsure.ahead |= ahead
        self.unsure.note_all([op_id for op_id in gone if op_id not in ahead] if ahead else gone, _ANY_TIME)


class Known:
    """Targets as they stand."""

    def __init__(
        self,
        rows: Rows,
        hot: Hot,
        rule: HeatRule,
        monotonic: Callable[[], float],
        help_others: Callable[[Mapping[str, int], float], Awaitable[None]],
    ) -> None:
        """`help_others` has the batches of other writers completed, up to these numbers, which took so long already."""
        self._rows = rows
        self._hot = hot
        self._rule = rule
        self._monotonic = monotonic
        self._help = help_others
        self._kept: dict[Key, Kept] = {}
        self._claimed: Sequence[Key] = ()
        self._contested_until = 0.0

    async def find(self, generation: str, node: str, keys: Sequence[Key]) -> list[Kept]:
        """The targets, one for each key. Raises Lost, and Unavailable where others never let go of them.

        Where others have lately changed the same targets, they are held off until this one's batch is taken: to read
        what they change meanwhile would be in vain.
        """
        kept = self._kept
        targets = list(dict.fromkeys(keys))
        self._claimed = ()
        free, place = True, ""
        time = asyncio.get_running_loop().time
        began, first = time(), 0.0
        hold_off = began < self._contested_until
        while hold_off or not all(key in kept for key in targets):
            if hold_off:
                free, place = await self._hot.claim(generation, node, targets, _CLAIM_SECONDS, place)
                self._claimed = targets if free else ()
            if free:
                first = first or time()
                if await self._load(generation, node, targets, time() - first):
                    break
            hold_off = True
            self._contested_until = time() + _CONTESTED_SECONDS
            if time() > began + _LOAD_SECONDS:
                raise Unavailable("others change the same targets all the time; nothing was done", retry_after=0.2)
            await asyncio.sleep(random.uniform(0, 2 * _PAUSE_SECONDS))
        return [kept[key] for key in keys]

    def moved(self, keys: Collection[Key]) -> None:
        """Others have changed some of these."""
        self.drop(keys)
        self._contested_until = asyncio.get_running_loop().time() + _CONTESTED_SECONDS

    async def let_go(self, generation: str, node: str) -> None:
        """Lets others change what they were held off from."""
        claimed, self._claimed = self._claimed, ()
        if claimed:
            with suppress(Problem, Lost):
                await self._hot.claim(generation, node, claimed, 0)

    async def _load(self, generation: str, node: str, targets: Sequence[Key], waited: float) -> bool:
        """Sees to it that all of these are known as they stand; False where others have changed them just now."""
        kept = self._kept
        standing, unconfirmed = await self._hot.load(generation, targets)
        at = dict(zip(targets, standing, strict=True))
        self.drop([key for key in targets if key in kept and kept[key].token != at[key].token])
        missing = [key for key in targets if key not in kept]
        unfinished: dict[str, int] = {}
        for key in missing:
            each = at[key]
            if each.writer != node and any(seq <= each.seq for seq in unconfirmed.get(each.writer, ())):
                unfinished[each.writer] = max(unfinished.get(each.writer, 0), each.seq)
        if unfinished:
            await self._help(unfinished, waited)
            return False
        heads = await self._rows.heads(missing) if missing else {}
        if any(at[key].token and (key not in heads or heads[key].stamp != int(at[key].token)) for key in missing):
            return False
        now = self._monotonic()
        for key in missing:
            each, head = at[key], heads.get(key)
            row = Kept(key, each, head, Heat(self._rule, now, hot=head is not None and head.buckets > 1))
            if row.heat.hot:
                HOT_TARGETS.inc()
            if each.writer and each.writer != node:
                row.after = (each.writer, each.seq)
            kept[key] = row
        return all(key in kept for key in targets)  # some may have been let go of meanwhile

    def keep(self, key: Key, row: Kept) -> None:
        """It stands as it is here."""
        self._kept.pop(key, None)
        self._kept[key] = row  # the last to be let go

    def drop(self, keys: Collection[Key]) -> None:
        """These have to be loaded again."""
        for key in keys:
            row = self._kept.pop(key, None)
            if row is not None and row.heat.hot:
                HOT_TARGETS.dec()

    def forget(self) -> None:
        """All have to be loaded again."""
        self.drop(list(self._kept))

    def evict(self, busy: Mapping[Key, set[str]]) -> None:
        """Lets go of what is too much, at a moment when nothing is being decided.

        `busy`: targets and people with changes that are still being written.
        """
        kept = self._kept
        people = sum(len(row.held) for row in kept.values())
        for key in list(kept):
            if len(kept) <= _MAX_TARGETS and people <= _MAX_PEOPLE:
                break
            row = kept[key]
            people -= len(row.held)
            if key not in busy:
                self.drop([key])
                continue
            for user in list(islice(row.held, len(row.held) // 2)):
                if user not in busy[key]:
                    del row.held[user]
                    row.is_new = False
            people += len(row.held)
        for key in kept:
            kept[key].forget_answers()

    def cool(self) -> None:
        """Lets time pass for the targets that are hot."""
        now = self._monotonic()
        for row in self._kept.values():
            if row.heat.hot:
                row.warm(0, now)
