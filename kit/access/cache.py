"""Remembers for a short time what users may see of conversations. No I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from kit.access.domain import Block, UserAccess
from kit.access.ports import Answer
from kit.tenant_keys import TargetKey

# Conversations whose last change is remembered.
_MAX_FLOORS = 10_000


class _Conversation(NamedTuple):
    """Each user and block with the time at which it expires."""

    users: dict[str, tuple[float, UserAccess]]
    blocks: dict[int, tuple[float, Block]]

    def __len__(self) -> int:
        return len(self.users) + len(self.blocks)


class AccessCache:
    """Bounded: above `capacity` users and blocks, the least recently used conversations are dropped.

    An answer is not kept where its conversation has changed since it was asked for: see `begin`.
    """

    def __init__(self, capacity: int, seconds: float) -> None:
        """`seconds`: how long an answer is kept where no change of its conversation is reported."""
        self.seconds = seconds
        self._capacity = capacity
        self._conversations: OrderedDict[TargetKey, _Conversation] = OrderedDict()
        self._size = 0
        self._ticket = 0
        self._open: set[int] = set()
        # The last ticket before the last change, of conversations that changed while a question was open.
        self._changed: dict[TargetKey, int] = {}
        self._all_changed = 0
        # The last item, and the first visible one, as of the last change. The tables of message_svc may have them a
        # moment later than the log.
        self._floors: OrderedDict[TargetKey, tuple[int, int]] = OrderedDict()

    def __len__(self) -> int:
        return self._size

    def user(self, key: TargetKey, user: str, now: float) -> UserAccess | None:
        """What the user may see of a conversation; None: not known."""
        found = self._conversations.get(key)
        entry = None if found is None else found.users.get(user)
        if entry is None or entry[0] <= now:
            return None
        self._conversations.move_to_end(key)
        return entry[1]

    def block(self, key: TargetKey, number: int, now: float) -> Block | None:
        """A block of numbers of a conversation; None: not known."""
        found = self._conversations.get(key)
        entry = None if found is None else found.blocks.get(number)
        return None if entry is None or entry[0] <= now else entry[1]

    def begin(self) -> int:
        """Records that a question is asked from now on; returns the ticket for `put` and `end`."""
        self._ticket += 1
        self._open.add(self._ticket)
        return self._ticket

    def put(self, ticket: int, answers: Mapping[TargetKey, Answer], now: float) -> None:
        """Keeps the answers to a question, except those whose conversation has changed since it was asked."""
        expires = now + self.seconds
        for key, answer in answers.items():
            if max(self._changed.get(key, 0), self._all_changed) >= ticket or self._is_late(key, answer):
                continue
            found = self._conversations.pop(key, None) or _Conversation({}, {})
            self._size -= len(found)
            found.users.update((user, (expires, access)) for user, access in answer.users.items())
            found.blocks.update((number, (expires, block)) for number, block in answer.blocks.items())
            self._conversations[key] = found
            self._size += len(found)
        while self._size > self._capacity:
            self._size -= len(self._conversations.popitem(last=False)[1])

    def end(self, ticket: int) -> None:
        """The question was answered, or has failed."""
        self._open.discard(ticket)
        if not self._open:
            self._changed.clear()

    def invalidate(self, key: TargetKey, last_seq: int, visible_from: int) -> None:
        """The members or the messages of a conversation have changed; its last item is `last_seq` now, and items below
        `visible_from` have disappeared."""
        self._floors[key] = last_seq, visible_from
        self._floors.move_to_end(key)
        if len(self._floors) > _MAX_FLOORS:
            self._floors.popitem(last=False)
        found = self._conversations.pop(key, None)
        if found is not None:
            self._size -= len(found)
        if self._open:
            self._changed[key] = self._ticket

    def clear(self) -> None:
        """Any conversation may have changed."""
        self._conversations.clear()
        self._size = 0
        self._all_changed = self._ticket

    def _is_late(self, key: TargetKey, answer: Answer) -> bool:
        last_seq, visible_from = self._floors.get(key, (0, 0))
        return any(
            access.last_seq < last_seq or any(first < visible_from for first, _ in access.spans)
            for access in answer.users.values()
        )
