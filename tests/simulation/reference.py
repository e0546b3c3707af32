"""What the entries of a ledger say, row by row, in the order of their positions: it decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kit.ledger.entry import Entry
from kit.tenant_keys import TargetKey
from reaction_svc.domain import REFUSED, Action, Op, OperationRow, Outcome, TargetChange
from reaction_svc.policy import Policy, policy_of
from tests.simulation.world import Violation


class TargetVersion(NamedTuple):
    """A version of a target, the position of the entry that made it, and the emoji that any user had then."""

    version: int
    position: int
    emojis: frozenset[str]


class TargetReference:
    """One target: everything that was ever true of it."""

    def __init__(self, key: TargetKey) -> None:
        self.key = key
        self.version = 0
        self.stamp = 0
        self.counts: dict[str, int] = {}
        self.reactions_by_user: dict[str, dict[str, int]] = {}
        self.answers: dict[str, OperationRow] = {}
        self.moments: list[TargetVersion] = [TargetVersion(0, 0, frozenset())]
        self.changes: dict[tuple[str, str], list[tuple[int, bool]]] = {}
        self.counts_at: dict[int, dict[str, int]] = {0: {}}
        self.rows_of: dict[str, int] = {}
        self.records: set[tuple[str, str]] = set()
        """The reactions of which a record is left, present or not."""

    def apply(self, change: TargetChange, position: int, stamp: int) -> None:
        """Applies an entry; raises Violation where it contradicts what is there."""
        before: dict[str, set[str]] = {}
        for row in change.rows:
            just_before = set(self.reactions_by_user.get(row.user, ()))
            before.setdefault(row.user, just_before)
            self._apply_row(row, position)
            if row.op_id or row.asked:
                # A clear or an erasure has several rows; the end of an operation without an id is not marked.
                started = before.pop(row.user)
                self._check_action(row, started if row.action in (Action.CLEAR, Action.ERASE) else just_before)
        _require(change.head.version == self.version, "the head has another version than the last row", change)
        _require(
            dict(change.head.counts) == self.counts, "the head has other counts than the rows", self.counts, change
        )
        _require(stamp > self.stamp, "the stamp of a target does not grow", change)
        self.stamp = stamp
        self.counts_at[self.version] = dict(self.counts)

    def was_true(self, op: Op, outcome: Outcome, after: int, through: int) -> bool:
        """Whether an outcome was true at some moment from the end of entry `after` to that of entry `through`."""
        return any(
            moment.version == outcome.version and self._was_on(op, moment.version) is outcome.on
            for moment in self.between(after, through)
        )

    def between(self, after: int, through: int) -> Sequence[TargetVersion]:
        """The moments in the life of the target between the ends of two entries."""
        ends = [moment.position for moment in self.moments[1:]] + [through + 1]
        return [
            moment for moment, end in zip(self.moments, ends, strict=True) if moment.position <= through and end > after
        ]

    def _was_on(self, op: Op, version: int) -> bool:
        on = False
        for changed, now_on in self.changes.get((op.user, op.emoji), ()):
            if changed <= version:
                on = now_on
        return on

    def _apply_row(self, row: OperationRow, position: int) -> None:
        emojis = self.reactions_by_user.setdefault(row.user, {})
        if row.added or row.removed:
            _require(row.version > self.version, "the version of a target does not grow", row)
            self.rows_of[row.user] = self.rows_of.get(row.user, 0) + 1
            self.version = row.version
        else:
            _require(row.version in (self.version, REFUSED), "an answer that changed nothing has another version", row)
        if row.removed:
            _require(row.removed in emojis, "a reaction that was not present is removed", row)
            del emojis[row.removed]
            self._count(row.removed, -1)
            self.changes.setdefault((row.user, row.removed), []).append((row.version, False))
        if row.added:
            _require(row.added not in emojis, "a reaction that was present is added", row)
            emojis[row.added] = row.version
            self._count(row.added, 1)
            self.changes.setdefault((row.user, row.added), []).append((row.version, True))
        self.records |= {(row.user, emoji) for emoji in (row.added, row.removed) if emoji}
        if row.action == Action.ERASE and not row.on:
            self.records = {record for record in self.records if row.user not in ("", record[0])}
        if row.added or row.removed:
            self.moments.append(TargetVersion(row.version, position, frozenset(self.counts)))
        if row.op_id:
            _require(row.op_id not in self.answers, "an operation is applied twice", row, self.answers.get(row.op_id))
            self.answers[row.op_id] = row

    def _check_action(self, row: OperationRow, before: set[str]) -> None:
        emojis = self.reactions_by_user[row.user]
        is_present = row.asked in emojis
        if not row.op_id:
            return  # what it asked for is not kept
        if row.version == REFUSED:
            _require(emojis.keys() == before and not row.on, "an operation was refused and made", row)
            return
        if row.action == Action.TOGGLE:
            _require(is_present is (row.asked not in before), "a toggle did not toggle", row, before)
        elif row.action == Action.ERASE and not row.user:
            _require(row.on is bool(self.counts), "whether something is left to erase is not true", row, self.counts)
            return
        elif row.action in (Action.CLEAR, Action.ERASE):
            _require(not emojis, "a reaction is present after a clear", row, emojis)
        else:
            _require(is_present is (row.action == Action.ADD), "an operation did not do what it asks for", row)
        _require(row.on is is_present, "the answer is not what is true after the operation", row)
        single = policy_of(self.key[1]) is Policy.SINGLE_CHOICE
        _require(not single or len(emojis) <= 1, "more than one choice is present", row)

    def _count(self, emoji: str, by: int) -> None:
        people = self.counts.get(emoji, 0) + by
        if people:
            self.counts[emoji] = people
        else:
            del self.counts[emoji]


class ShardReference:
    """All entries of one shard."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.stamp = 0

    def append(self, entry: Entry) -> None:
        """Adds an entry; raises Violation unless it follows the last one."""
        _require(entry.position == len(self.entries) + 1, "a position is left out or taken twice", entry)
        _require(entry.stamp > self.stamp, "the stamps of a shard do not grow", entry)
        self.entries.append(entry)
        self.stamp = entry.stamp


def _require(is_so: bool, otherwise: str, *details: object) -> None:
    if not is_so:
        raise Violation(f"{otherwise}: {' | '.join(map(repr, details))}")
