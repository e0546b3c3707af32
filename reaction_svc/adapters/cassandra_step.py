"""Batches are decided in memory, on targets as they are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kit.errors import Problem
from reaction_svc.adapters.cassandra_batch import Entry, Head, Record, done_of, records_of, slice_of
from reaction_svc.adapters.cassandra_known import Kept, Known
from reaction_svc.adapters.cassandra_rows import Rows, all_of
from reaction_svc.adapters.redis_hot import Held, ListChange, TargetChange
from reaction_svc.domain import Action, Done, Op, Outcome, Refusal


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

    def __init__(self, rows: Rows, known: Known, max_emoji: int, monotonic: Callable[[], float]) -> None:
        self._rows = rows
        self._known = known
        self._max_emoji = max_emoji
        self._monotonic = monotonic

    async def decide(self, generation: str, node: str, ops: Sequence[Op], now: int) -> Decided:
        """Decides the operations at `now`, microseconds; raises Lost and Unavailable, and then nothing has changed."""
        keys = [(op[0], op[1]) for op in ops]
        try:
            chosen = await self._known.find(generation, node, keys)
            await self._tell(chosen, ops)
        except Problem:
            await self._known.let_go(generation, node)
            raise
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
        for row, change in zip(decided.rows, decided.changes, strict=True):
            if decided.entries:
                row.after = None  # the batch says so now, of all its targets
            row.begin()
            if change.token:
                row.token = change.token
                self._known.keep(change.key, row)
            elif not row.token:
                self._known.drop([change.key])  # neither in Redis nor in Cassandra: nothing says when that changes

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
        row.warm(len(row.facts), monotonic)
        row.stamp = max(now, row.stamp + 1, row.version)
        head = Head(
            row.stamp, row.version, row.counts.copy(), row.buckets, row.spread, used.highest, sorted(used.ahead)
        )
        done = row.done
        ops = [(*done[op_id], op_id) for op_id in row.new_ops]
        return Entry(row.tenant, row.target, head, ops, [fact[2:] for fact in row.facts])


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
