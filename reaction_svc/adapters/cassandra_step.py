"""The targets a process knows: loaded when they are needed, decided on in memory, trusted as long as Redis agrees."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from itertools import islice

import structlog

from kit.errors import Unavailable
from reaction_svc.adapters.cassandra_batch import BUCKETS, Entry, Head, Record, done_of, records_of, slice_of
from reaction_svc.adapters.cassandra_rows import Key, Rows, all_of
from reaction_svc.adapters.redis_hot import Held, Hot, ListChange, Standing, TargetChange
from reaction_svc.domain import Action, Done, Draft, Op, Outcome, Refusal
from reaction_svc.heat import Heat, HeatRule
from reaction_svc.metrics import HOT_TARGETS
from reaction_svc.opids import Floor

_MAX_TARGETS = 10_000
_MAX_PEOPLE = 200_000
_MAX_ANSWERS = 40_000  # of one target
_LOAD_ROUNDS = 50
_ANY_TIME = 1 << 62
_PAUSE_SECONDS = 0.004
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


class Decided:
    """A batch as it was decided: the answers, and what is to become of each target."""

    def __init__(
        self,
        rows: Sequence[Kept],
        answers: list[Outcome | Refusal],
        entries: list[Entry],
        records: list[list[Record]],
        changes: list[TargetChange],
    ) -> None:
        self.rows = rows
        self.answers = answers
        self.entries = entries
        self.records = records
        self.changes = changes
        self.facts = [row.facts for row in rows if row.facts]
        self.held: list[Held] = [
            ((row.tenant, row.target), [(user, bool(row.held.get(user))) for user in {fact[2] for fact in row.facts}])
            for row in rows
            if row.facts
        ]
        self.after = [row.after for row in rows if row.after is not None]


class Step:
    """Decides batches, one after the other."""

    def __init__(
        self,
        rows: Rows,
        hot: Hot,
        max_emoji: int,
        rule: HeatRule,
        monotonic: Callable[[], float],
        help_others: Callable[[Mapping[str, int], bool], Awaitable[None]],
    ) -> None:
        """`help_others` completes the batches of other writers, up to these numbers; at first it may wait a little."""
        self._rows = rows
        self._hot = hot
        self._max_emoji = max_emoji
        self._rule = rule
        self._monotonic = monotonic
        self._help = help_others
        self._known: dict[Key, Kept] = {}

    async def decide(self, generation: str, node: str, ops: Sequence[Op], now: int) -> Decided:
        """Decides the operations at `now`, microseconds; raises Lost and Unavailable, and then nothing has changed."""
        chosen = await self._find(generation, node, ops)
        await self._tell(chosen, ops)
        max_emoji = self._max_emoji
        answers = [row.decide(op, now, max_emoji) for row, op in zip(chosen, ops, strict=True)]
        rows = list(dict.fromkeys(chosen))
        entries: list[Entry] = []
        records: list[list[Record]] = []
        changes: list[TargetChange] = []
        monotonic = self._monotonic()
        for row in rows:
            key = (row.tenant, row.target)
            if not row.new_ops and not row.facts:
                changes.append(TargetChange(key, row.token))
                continue
            entry = self._entry(row, now, monotonic)
            entries.append(entry)
            records.append(records_of(entry))
            changes.append(TargetChange(key, row.token, str(row.stamp), _base(entry, row), _lists(records[-1])))
        return Decided(rows, answers, entries, records, changes)

    def taken(self, decided: Decided) -> None:
        """Redis has taken the batch: what was decided is what is known."""
        known = self._known
        for row, change in zip(decided.rows, decided.changes, strict=True):
            if decided.entries:
                row.after = None  # the batch says so now, of all its targets
            row.begin()
            if change.token:
                row.token = change.token
                key = change.key
                known.pop(key, None)
                known[key] = row  # the last to be let go
            elif not row.token:
                known.pop(change.key, None)  # neither in Redis nor in Cassandra: nothing says when that changes

    def drop(self, keys: Collection[Key]) -> None:
        """These have to be loaded again."""
        for key in keys:
            row = self._known.pop(key, None)
            if row is not None and row.heat.hot:
                HOT_TARGETS.dec()

    def forget(self) -> None:
        """All have to be loaded again."""
        self.drop(list(self._known))

    def evict(self, busy: Mapping[Key, set[str]]) -> None:
        """Lets go of what is too much. `busy`: targets and people with changes that are still being written."""
        known = self._known
        people = sum(len(row.held) for row in known.values())
        for key in list(known):
            if len(known) <= _MAX_TARGETS and people <= _MAX_PEOPLE:
                break
            row = known[key]
            people -= len(row.held)
            if key not in busy:
                self.drop([key])
                continue
            for user in list(islice(row.held, len(row.held) // 2)):
                if user not in busy[key]:
                    del row.held[user]
                    row.is_new = False
            people += len(row.held)
        for key in known:
            _forget_answers(known[key])

    def cool(self) -> None:
        """Lets time pass for the targets that are hot."""
        now = self._monotonic()
        for row in self._known.values():
            if row.heat.hot:
                self._heat(row, 0, now)

    async def _find(self, generation: str, node: str, ops: Sequence[Op]) -> list[Kept]:
        known = self._known
        keys = [(op[0], op[1]) for op in ops]
        missing = [key for key in dict.fromkeys(keys) if key not in known]
        if missing:
            await self._load(generation, node, missing)
        return [known[key] for key in keys]

    async def _load(self, generation: str, node: str, missing: Sequence[Key]) -> None:
        for attempt in range(_LOAD_ROUNDS):
            standing, unconfirmed = await self._hot.load(generation, missing)
            unfinished: dict[str, int] = {}
            for each in standing:
                if each.writer != node and any(seq <= each.seq for seq in unconfirmed.get(each.writer, ())):
                    unfinished[each.writer] = max(unfinished.get(each.writer, 0), each.seq)
            if unfinished:
                await self._help(unfinished, attempt < 4)
                continue
            heads = await self._rows.heads(missing)
            if all(
                not each.token or (key in heads and heads[key].stamp == int(each.token))
                for key, each in zip(missing, standing, strict=True)
            ):
                now = self._monotonic()
                for key, each in zip(missing, standing, strict=True):
                    head = heads.get(key)
                    row = Kept(key, each, head, Heat(self._rule, now, hot=head is not None and head.buckets > 1))
                    if row.heat.hot:
                        HOT_TARGETS.inc()
                    if each.writer and each.writer != node:
                        row.after = (each.writer, each.seq)
                    self._known[key] = row
                return
            await asyncio.sleep(_PAUSE_SECONDS)  # others change them just now
        raise Unavailable("others change the same targets all the time; nothing was done", retry_after=0.2)

    async def _tell(self, chosen: Sequence[Kept], ops: Sequence[Op]) -> None:
        """Tells the drafts what they must know of the people and of the op_ids."""
        people: dict[Kept, dict[str, None]] = {}
        asked: dict[Kept, dict[str, str]] = {}
        for row, (_, _, user, _, _, op_id) in zip(chosen, ops, strict=True):
            if op_id and op_id not in row.done and not row.surely_new(op_id):
                asked.setdefault(row, {})[op_id] = user
                people.setdefault(row, {})[user] = None
            if user not in row.held and not row.is_new:
                people.setdefault(row, {})[user] = None
        if people:
            await all_of(*(self._tell_one(row, users, asked.get(row, {})) for row, users in people.items()))

    async def _tell_one(self, row: Kept, users: Mapping[str, None], asked: Mapping[str, str]) -> None:
        key = (row.tenant, row.target)
        found = await self._rows.records(key, row.spread, list(users)) if row.version else []
        held: dict[str, list[tuple[int, str]]] = {}
        for user, emoji, on, version, op_id, action in found:
            if on:
                held.setdefault(user, []).append((version, emoji))
            if op_id in asked and op_id not in row.done:
                row.done[op_id] = Done(user, "" if action == Action.CLEAR else emoji, action, on, version)
        for user in users:
            if user not in row.held:
                row.held[user] = {emoji: version for version, emoji in sorted(held.get(user, ()))}
        unknown = [op_id for op_id in asked if op_id not in row.done]
        if unknown:
            wanted = set(unknown)
            for answer in await self._rows.answers(key, {slice_of(op_id) for op_id in unknown}):
                if answer[5] in wanted:
                    row.done[answer[5]] = done_of(answer)

    def _entry(self, row: Kept, now: int, monotonic: float) -> Entry:
        """What is to be saved of a target; moves its stamp on."""
        used = row.used
        used.note_all(row.new_ops, now)
        self._heat(row, len(row.facts), monotonic)
        row.stamp = max(now, row.stamp + 1, row.version)
        head = Head(
            row.stamp, row.version, row.counts.copy(), row.buckets, row.spread, used.highest, sorted(used.ahead)
        )
        done = row.done
        ops = [(*done[op_id], op_id) for op_id in row.new_ops]
        return Entry(row.tenant, row.target, head, ops, [fact[2:] for fact in row.facts])

    def _heat(self, row: Kept, changes: int, monotonic: float) -> None:
        was_hot = row.heat.hot
        hot = row.heat.note(changes, monotonic)
        row.buckets = BUCKETS if hot else 1
        row.spread = max(row.spread, row.buckets)
        if hot != was_hot:
            HOT_TARGETS.inc() if hot else HOT_TARGETS.dec()
            log.info("target is hot" if hot else "target is no longer hot", tenant=row.tenant, target=row.target)


def _base(entry: Entry, row: Kept) -> int:
    """The version from before the batch; 0 where nobody had reacted."""
    return 0 if row.is_new else min((fact[3] for fact in entry.facts), default=entry.head.version + 1) - 1


def _lists(records: Sequence[Record]) -> list[ListChange]:
    emojis: dict[str, ListChange] = {}
    for user, emoji, held, version, _, _ in records:
        change = emojis.get(emoji)
        if change is None:
            change = emojis[emoji] = (emoji, [], [])
        if held:
            change[1].extend((version, user))
        else:
            change[2].append(user)
    return list(emojis.values())


def _forget_answers(row: Kept) -> None:
    """Keeps the newest answers to a target's op_ids, half of what may be kept, where there are too many."""
    if len(row.done) <= _MAX_ANSWERS:
        return
    row.complete = False
    gone = list(islice(row.done, len(row.done) - _MAX_ANSWERS // 2))
    row.done = dict(islice(row.done.items(), len(gone), None))
    ahead = row.used.ahead.intersection(gone)
    row.unsure.ahead |= ahead
    row.unsure.note_all([op_id for op_id in gone if op_id not in ahead] if ahead else gone, _ANY_TIME)
