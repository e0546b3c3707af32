"""The state of one target, and decisions of batches of operations on it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from kit.ledger.op_ids import OpIdWatermark, is_timed
from kit.tenant_keys import TargetKey
from reaction_svc.domain import (
    REFUSED,
    Action,
    Op,
    OperationRow,
    Outcome,
    ReactionsByUser,
    Refusal,
    TargetChange,
    TargetHead,
)
from reaction_svc.policy import Policy, policy_of

# Each target caches the answers of two generations of this size; the older generation is dropped as a whole.
ANSWERS_PER_GENERATION = 10_000
_NO_REACTIONS: dict[str, int] = {}
_TOGGLE, _ADD, _CLEAR, _ERASE = Action.TOGGLE, Action.ADD, Action.CLEAR, Action.ERASE
_new = tuple.__new__  # makes a named tuple in half the time its class takes


class TargetState:
    """A target as of the last durable entry, as far as it is in memory.

    Where the state `is_complete`, `reactions_by_user` has all users with a reaction; otherwise those that were looked
    up. The answers of recent operations are cached: an id above the watermark `forgotten_op_ids` that is not among them
    is definitely new.
    """

    __slots__ = (
        "_recent_since",
        "counts",
        "forgotten_op_ids",
        "is_complete",
        "key",
        "knows_all_op_ids",
        "looked_up_answers",
        "older_answers",
        "policy",
        "reactions_by_user",
        "recent_answers",
        "stamp",
        "version",
        "watermark",
    )

    def __init__(
        self, key: TargetKey, head: TargetHead | None, reactions_by_user: ReactionsByUser, *, is_complete: bool
    ) -> None:
        self.key = key
        self.policy = policy_of(key[1])
        self.version, self.stamp, counts, highest, ahead = head or TargetHead(0, 0, {})
        self.counts: Mapping[str, int] = dict(counts)
        self.reactions_by_user: dict[str, dict[str, int]] = dict(reactions_by_user)
        self.is_complete = is_complete
        self.watermark = self._recent_since = self.forgotten_op_ids = OpIdWatermark(highest, ahead)
        self.recent_answers: dict[str, OperationRow] = {}
        self.older_answers: dict[str, OperationRow] = {}
        # The ids of a target that is new here are all known, until the first generation of answers is dropped.
        self.knows_all_op_ids = head is None
        # Read from the tables for the next batch; None: the id was not used.
        self.looked_up_answers: dict[str, OperationRow | None] = {}

    @property
    def weight(self) -> int:
        """The size in memory: users and answers."""
        return 1 + len(self.reactions_by_user) + len(self.recent_answers) + len(self.older_answers)

    def knows_user(self, user: str) -> bool:
        """Whether the reactions of the user are in memory."""
        return self.is_complete or user in self.reactions_by_user

    def knows_op_id(self, op_id: str) -> bool:
        """Whether memory shows if the operation id was used, and with which answer."""
        return (
            self.knows_all_op_ids
            or op_id in self.recent_answers
            or self.forgotten_op_ids.definitely_new(op_id)
            or op_id in self.older_answers
            or op_id in self.looked_up_answers
        )

    def answer_of(self, op_id: str) -> OperationRow | None:
        """The operation with that id and its answer; None where the id was not used."""
        return self.recent_answers.get(op_id) or self.older_answers.get(op_id) or self.looked_up_answers.get(op_id)

    def apply_decision(
        self, head: TargetHead, reactions_by_user: ReactionsByUser, answers: Mapping[str, OperationRow]
    ) -> None:
        """Applies a decision of this node once it is durable.

        `reactions_by_user` has all reactions of the users whose reactions changed.
        """
        self.reactions_by_user.update(reactions_by_user)
        if self.is_complete:
            for user in [user for user, emojis in reactions_by_user.items() if not emojis]:
                del self.reactions_by_user[user]
        self._set_head(head, answers)

    def apply_entry(self, change: TargetChange) -> None:
        """Applies an entry to the state in memory. An entry that the state already includes changes nothing.

        Entries come in order and without a gap after the first.
        """
        self.apply_rows(change.rows, None)
        self.looked_up_answers.clear()
        self._set_head(change.head, change.answers())

    def apply_rows(self, rows: Sequence[OperationRow], users: Collection[str] | None) -> None:
        """Applies changes to the reactions of these users; None: of all users in memory."""
        for user, added, removed, version, _, _, _, _ in rows:
            if (users is None or user in users) and (added or removed) and self.knows_user(user):
                current = dict(self.reactions_by_user.get(user, _NO_REACTIONS))
                if removed:
                    current.pop(removed, None)
                if added:
                    current.pop(added, None)
                    current[added] = version
                if current or not self.is_complete:
                    self.reactions_by_user[user] = current
                else:
                    self.reactions_by_user.pop(user, None)

    def evict_users(self) -> None:
        """Drops the reactions of all users from memory."""
        self.reactions_by_user = {}
        self.is_complete = False

    def _set_head(self, head: TargetHead, answers: Mapping[str, OperationRow]) -> None:
        self.version, self.stamp, self.counts = head.version, head.stamp, head.counts
        self.watermark = OpIdWatermark(head.highest, head.ahead)
        self.recent_answers.update(answers)
        if len(self.recent_answers) > ANSWERS_PER_GENERATION:
            self.knows_all_op_ids = self.knows_all_op_ids and not self.older_answers
            self.older_answers, self.recent_answers = self.recent_answers, {}
            self.forgotten_op_ids, self._recent_since = self._recent_since, self.watermark


def _answer_again(row: OperationRow, op: Op) -> Outcome | Refusal:
    """The answer to an operation whose id was used for the operation of that row."""
    if row.user != op.user or row.asked != op.emoji or row.action != op.action:
        return Refusal.OP_CONFLICT
    return Refusal.TOO_MANY_EMOJI if row.version == REFUSED else Outcome(row.on, row.version)


class TargetDecision:
    """The decision of a batch of operations on one target, one after the other. Does not change the `TargetState`."""

    __slots__ = ("_counts", "_state", "answers", "reactions_by_user", "rows", "version")

    def __init__(self, state: TargetState) -> None:
        self._state = state
        self.version = state.version
        self._counts = dict(state.counts)
        self.reactions_by_user: dict[str, dict[str, int]] = {}
        """All reactions of each user whose reactions changed."""
        self.rows: list[OperationRow] = []
        self.answers: dict[str, OperationRow] = {}

    def decide(self, op: Op, now: int, max_emoji: int, oldest_op_id: str) -> tuple[Outcome | Refusal, bool]:
        """Decides one operation, as `decide_all`; returns its answer, and whether that was stored already."""
        answers: list[Outcome | Refusal] = []
        is_stored = self.decide_all((op,), now, max_emoji, oldest_op_id, answers)
        return answers[0], is_stored

    def decide_all(
        self, ops: Iterable[Op], now: int, max_emoji: int, oldest_op_id: str, answers: list[Outcome | Refusal]
    ) -> bool:
        """Appends the answers to operations at `now` (microseconds since 1970); returns whether all were stored before.

        A refused operation changes nothing, but its refusal is stored with its id. A target has at most `max_emoji`
        distinct emoji. A timed id below `oldest_op_id` without a stored answer is refused as expired.
        """
        # One loop without helper functions: this is the hottest code of the service.
        state, counts, rows, new_answers = self._state, self._counts, self.rows, self.answers
        recent_answers, older_answers, looked_up = state.recent_answers, state.older_answers, state.looked_up_answers
        reactions_before, reactions_after = state.reactions_by_user, self.reactions_by_user
        is_single = state.policy is Policy.SINGLE_CHOICE
        are_stored = True
        for op in ops:
            _, _, user, emoji, action, op_id = op
            if op_id:
                row = new_answers.get(op_id)
                if row is None:
                    row = recent_answers.get(op_id) or older_answers.get(op_id) or looked_up.get(op_id)
                    # The tables may already have the answer of an entry that is not part of the state yet.
                    are_stored &= row is not None and row[3] <= state.version
                else:
                    are_stored = False
                if row is not None:
                    answers.append(_answer_again(row, op))
                    continue
                if op_id < oldest_op_id and is_timed(op_id):
                    answers.append(Refusal.OP_EXPIRED)
                    continue
            else:
                are_stored = False
            current = reactions_after.get(user)
            if current is None:
                current = reactions_before.get(user, _NO_REACTIONS)
            was_on = emoji in current
            on = not was_on if action is _TOGGLE else action is _ADD
            if action is _ERASE and not user:
                on = bool(counts)
                rows.append(_new(OperationRow, ("", "", "", self.version, op_id, "", action, on)))
            elif action is _CLEAR or action is _ERASE or (on and not was_on and is_single and current):
                if not on or emoji in counts or self._has_room(current, max_emoji):
                    self._replace(user, current, emoji if on else "", now, op_id, action)
                else:
                    answers.append(self._refuse(op))
                    continue
            elif on is was_on:
                if op_id:
                    rows.append(_new(OperationRow, (user, "", "", self.version, op_id, emoji, action, on)))
            elif on:
                users = counts.get(emoji, 0)
                if not users and len(counts) >= max_emoji:
                    answers.append(self._refuse(op))
                    continue
                counts[emoji] = users + 1
                self.version = version = now if now > self.version else self.version + 1
                reactions_after[user] = {**current, emoji: version}
                rows.append(_new(OperationRow, (user, emoji, "", version, op_id, emoji, action if op_id else 0, True)))
            else:
                self.version = version = now if now > self.version else self.version + 1
                current = current.copy()
                del current[emoji]
                reactions_after[user] = current
                self._decrement(emoji)
                rows.append(_new(OperationRow, (user, "", emoji, version, op_id, emoji, action if op_id else 0, False)))
            if op_id:
                new_answers[op_id] = rows[-1]
            answers.append(_new(Outcome, (on, self.version)))
        return are_stored

    def change(self, stamp: int) -> TargetChange:
        """What the entry with this stamp does to the target."""
        state = self._state
        watermark = state.watermark.with_all(list(self.answers), stamp)
        head = TargetHead(self.version, stamp, self._counts, watermark.highest, tuple(sorted(watermark.ahead)))
        return TargetChange(state.key, self.rows, head)

    def _refuse(self, op: Op) -> Refusal:
        """Refuses one emoji too many. The refusal is stored with the id, because another attempt may be in flight."""
        if op.op_id:
            row = OperationRow(op.user, "", "", REFUSED, op.op_id, op.emoji, op.action, False)
            self.rows.append(row)
            self.answers[op.op_id] = row
        return Refusal.TOO_MANY_EMOJI

    def _has_room(self, freed: Collection[str], max_emoji: int) -> bool:
        return len(self._counts) - sum(1 for emoji in freed if self._counts.get(emoji) == 1) < max_emoji

    def _replace(self, user: str, current: dict[str, int], added: str, now: int, op_id: str, action: int) -> None:
        """Removes all reactions of a user, and adds `added` where it is not empty."""
        *others, last = current or ("",)
        if not last:
            if op_id:
                self.rows.append(_new(OperationRow, (user, "", "", self.version, op_id, "", action, False)))
            return
        for emoji in others:
            self._remove(user, emoji, now)
        version = self._next_version(now)
        self._decrement(last)
        self.reactions_by_user[user] = {added: version} if added else {}
        if added:
            # A switch is one row at one version, so no reader sees both reactions or neither.
            self._counts[added] = self._counts.get(added, 0) + 1
        self.rows.append(
            _new(OperationRow, (user, added, last, version, op_id, added, action if op_id else 0, bool(added)))
        )

    def _remove(self, user: str, emoji: str, now: int) -> None:
        self._decrement(emoji)
        self.rows.append(_new(OperationRow, (user, "", emoji, self._next_version(now), "", "", 0, False)))

    def _next_version(self, now: int) -> int:
        self.version = now if now > self.version else self.version + 1
        return self.version

    def _decrement(self, emoji: str) -> None:
        users = self._counts.get(emoji, 0) - 1
        if users > 0:
            self._counts[emoji] = users
        else:
            self._counts.pop(emoji, None)
