"""What must be true at every moment, and of every answer."""

from __future__ import annotations

from collections.abc import Mapping

from kit.ledger.entry import Entry
from kit.target import partition_of
from kit.tenant_keys import TargetKey
from reaction_svc.adapters.memory_tables import MemoryTables
from reaction_svc.domain import REFUSED, Action, Op, Outcome, Refusal
from reaction_svc.ledger_codec import EventCodec
from reaction_svc.policy import Policy, policy_of
from reaction_svc.ports import TargetCounts
from tests.simulation.reference import ShardReference, TargetReference
from tests.simulation.world import Violation, World

MAX_EMOJI = 3


class Checker:
    """Watches each append and each answer of a run; raises Violation."""

    def __init__(self, world: World, shards: int) -> None:
        self.world = world
        self.shards = [ShardReference() for _ in range(shards)]
        self.targets: dict[TargetKey, TargetReference] = {}
        self._codec = EventCodec()

    def target(self, key: TargetKey) -> TargetReference:
        """What is known of a target."""
        found = self.targets.get(key)
        if found is None:
            found = self.targets[key] = TargetReference(key)
        return found

    def tail(self, key: TargetKey) -> int:
        """The last position of the shard of a target."""
        return len(self.shards[self.shard_of(key)].entries)

    def shard_of(self, key: TargetKey) -> int:
        """The shard of a target."""
        return partition_of(*key, len(self.shards))

    def appended(self, shard: int, entry: Entry) -> None:
        """An entry is durable."""
        self.world.note("ledger", "appended", shard, entry.position, entry.append_id)
        self.shards[shard].append(entry)
        for change in self._codec.decode(entry.payload, entry.stamp):
            self.target(change.key).apply(change, entry.position, entry.stamp)

    def answered(self, op: Op, answer: Outcome | Refusal, invoked: int, tables: MemoryTables) -> None:
        """An operation is answered that was asked for when `invoked` was the last position of the shard."""
        target = self.target(op[:2])
        row = target.answers.get(op.op_id) if op.op_id else None
        tail = self.tail(op[:2])
        if isinstance(answer, Outcome):
            self._was_made(op, answer, target, invoked, tail)
            self._can_be_read(op, answer, target, tables)
        elif answer is Refusal.OP_CONFLICT:
            same = row is not None and (row.user, row.asked, row.action) == (op.user, op.emoji, op.action)
            _require(row is not None and not same, "an operation conflicts with nothing", op)
        elif answer is Refusal.TOO_MANY_EMOJI and policy_of(op.target) is Policy.ONE_PER_EMOJI:
            full = (m for m in target.between(invoked, tail) if len(m.emojis) >= MAX_EMOJI and op.emoji not in m.emojis)
            was_refused = row is not None and row.version == REFUSED
            _require(was_refused or any(full), "there was room for another emoji all the time", op)

    def showed(self, counts: Mapping[TargetKey, TargetCounts], answers: Mapping[TargetKey, int]) -> None:
        """Counts went along with answers, of which these are the versions."""
        for key, tally in counts.items():
            known = self.target(key).counts_at.get(tally.version)
            _require(known == dict(tally.counts), "counts are not those of their version", tally, known)
            _require(tally.version >= answers.get(key, 0), "counts are older than the answer", tally, answers)

    def _was_made(self, op: Op, answer: Outcome, target: TargetReference, invoked: int, tail: int) -> None:
        if not op.op_id:
            _require(target.was_true(op, answer, invoked, tail), "an answer was never true", op, answer)
            return
        row = target.answers.get(op.op_id)
        _require(row is not None, "an answer is given before it is durable", op, answer)
        assert row is not None
        same = (row.user, row.asked, row.action) == (op.user, op.emoji, op.action)
        _require(same, "an operation got the answer of another", op, row)
        _require((row.on, row.version) == answer, "the answer is not that of the entry", op, answer, row)

    def _can_be_read(self, op: Op, answer: Outcome, target: TargetReference, tables: MemoryTables) -> None:
        head = tables.heads.get(target.key)
        _require((head.version if head else 0) >= answer.version, "a read after the answer is older", op, answer, head)
        if head is not None and head.version == answer.version and op.action not in (Action.CLEAR, Action.ERASE):
            # Records are written before heads: that of a later entry may be there without its head.
            is_newer = tables.last_write(target.key, op.user, op.emoji) > head.stamp
            is_held = op.emoji in tables.reactions_of(target.key, op.user)
            _require(is_newer or is_held is answer.on, "records are older", op, answer)


def _require(is_so: bool, otherwise: str, *details: object) -> None:
    if not is_so:
        raise Violation(f"{otherwise}: {' | '.join(map(repr, details))}")
