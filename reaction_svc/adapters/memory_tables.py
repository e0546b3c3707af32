"""The tables of reactions in memory, for tests: an older timestamp never overwrites a newer one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from kit.tenant_keys import TargetKey
from reaction_svc.domain import IdempotencyRecord, TargetHead
from reaction_svc.model.state import (
    RECORDS_AT_ONCE,
    AnswerWrites,
    LoadedState,
    LoadedTarget,
    LoadRequest,
    TargetWrites,
    Writes,
)


class Record(NamedTuple):
    """The last write of one user and one emoji."""

    stamp: int
    held: bool
    version: int


class MemoryTables:
    """See `kit.ledger.ports.Tables`. A load finds only the head of a target with more records than that."""

    def __init__(self, records_at_once: int = RECORDS_AT_ONCE) -> None:
        self.heads: dict[TargetKey, TargetHead] = {}
        self.records: dict[TargetKey, dict[tuple[str, str], Record]] = {}
        self.answers: dict[tuple[TargetKey, str], IdempotencyRecord] = {}
        # Up to which stamp; "": of all users. A late write with an older stamp is dropped.
        self.erased: dict[tuple[TargetKey, str], int] = {}
        self._records_at_once = records_at_once

    async def load(self, shard: int, need: LoadRequest) -> LoadedState:
        """See `kit.ledger.ports.Tables`."""
        return self.find(need)

    async def write(self, shard: int, writes: Writes) -> None:
        """See `kit.ledger.ports.Tables`."""
        for step in self.steps(writes):
            step()

    def find(self, need: LoadRequest) -> LoadedState:
        """The requested values, as of now."""
        return LoadedState(
            {key: self._target(key) for key in need.targets},
            {key: {user: self.reactions_of(key, user) for user in users} for key, users in need.users.items()},
            {asked: self.answers[asked] for asked in need.op_ids if asked in self.answers},
        )

    def steps(self, writes: Writes) -> Sequence[Callable[[], None]]:
        """The writes one by one, in the order in which they are applied: records, then heads, then answers."""
        return [
            *(partial(self._write_records, target) for target in writes.targets),
            *(partial(self._write_head, target) for target in writes.targets),
            *(partial(self._write_answers, answers) for answers in writes.answers),
        ]

    def reactions_of(self, key: TargetKey, user: str) -> dict[str, int]:
        """The reactions of one user, oldest first."""
        return self.reactions_by_user(key).get(user, {})

    def reactions_by_user(self, key: TargetKey) -> dict[str, dict[str, int]]:
        """The reactions of each user who has any, oldest first."""
        found: dict[str, dict[str, int]] = {}
        rows = sorted(self.records.get(key, {}).items(), key=lambda row: row[1].version)
        for (user, emoji), record in rows:
            if record.held:
                found.setdefault(user, {})[emoji] = record.version
        return found

    def last_write(self, key: TargetKey, user: str, emoji: str) -> int:
        """The stamp of the last write of a record, or of the erasure that removed it; 0: there was none."""
        record = self.records.get(key, {}).get((user, emoji))
        return max(record.stamp if record is not None else 0, self._erased_at(key, user))

    def _target(self, key: TargetKey) -> LoadedTarget:
        reactions = self.reactions_by_user(key)
        is_complete = sum(map(len, reactions.values())) <= self._records_at_once
        return LoadedTarget(self.heads.get(key), reactions if is_complete else {}, is_complete)

    def _write_records(self, target: TargetWrites) -> None:
        rows = self.records.setdefault(target.key, {})
        for user, stamp in target.erased:
            self._erase(target.key, user, stamp)
        for user, emoji, held, version in target.records:
            known = rows.get((user, emoji))
            if target.stamp > self._erased_at(target.key, user) and (known is None or known.stamp <= target.stamp):
                rows[user, emoji] = Record(target.stamp, held, version)

    def _erased_at(self, key: TargetKey, user: str) -> int:
        return max(self.erased.get((key, each), 0) for each in ("", user))

    def _erase(self, key: TargetKey, user: str, stamp: int) -> None:
        self.erased[key, user] = max(stamp, self.erased.get((key, user), 0))
        rows = self.records[key]
        for name, record in list(rows.items()):
            if user in ("", name[0]) and record.stamp <= stamp:
                del rows[name]

    def _write_head(self, target: TargetWrites) -> None:
        known = self.heads.get(target.key)
        if known is None or known.stamp <= target.stamp:
            self.heads[target.key] = target.head

    def _write_answers(self, answers: AnswerWrites) -> None:
        for tenant, target, operations in answers.rows:
            for user, _, _, version, op_id, emoji, action, on in operations:
                self.answers.setdefault(((tenant, target), op_id), IdempotencyRecord(user, emoji, action, on, version))
