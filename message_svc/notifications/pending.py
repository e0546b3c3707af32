"""Messages that wait for the acknowledgement of a member's device, and the log positions that they hold. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from kit.tenant_keys import UserKey
from kit.timing_wheel import TimingWheel

# Steps of the wheel within the time of an acknowledgement: a wait ends at most one step late.
_STEPS = 16
_HORIZON = 4 * _STEPS


class Wait(NamedTuple):
    """A message that waits, for one member; it may stand for earlier ones of its conversation.

    `position`: of the first of these entries on the log; `is_connected`: whether the member was connected, and the wait
    is for an acknowledgement; `is_mention`: it stands for no other message, and no other one for it.
    """

    tenant: str
    user: str
    conversation_id: str
    seq: int
    position: int
    is_connected: bool = True
    is_mention: bool = False


class _Pending(NamedTuple):
    """A wait, when it ends, and when that of the first message ends for which it stands."""

    first_due: float
    due: float
    wait: Wait


class _PendingUser:
    """The waits of one user, by conversation and number."""

    __slots__ = ("due", "key", "slot", "waits")

    def __init__(self, key: UserKey) -> None:
        self.key = key
        self.slot = -1
        """See `kit.timing_wheel.Scheduled`."""
        self.due = 0.0
        """When it comes out of the wheel: when the first wait ends, or before."""
        self.waits: dict[str, dict[int, _Pending]] = {}

    def first_due(self) -> float:
        """When the first wait ends."""
        return min(each.due for waits in self.waits.values() for each in waits.values())

    def take(self, conversation_id: str, seqs: list[int]) -> list[Wait]:
        """Removes waits of a conversation."""
        waits = self.waits[conversation_id]
        taken = [waits.pop(seq).wait for seq in seqs]
        if not waits:
            del self.waits[conversation_id]
        return taken


class PendingAcks:
    """See the module. A user with waits is one entry of a timing wheel. Times are seconds of one clock."""

    def __init__(self, now: float, seconds: float) -> None:
        """`seconds`: how long a wait lasts."""
        self.step = seconds / _STEPS
        """How often `expire` is to be called."""
        self._wheel: TimingWheel[_PendingUser] = TimingWheel(now, horizon=_HORIZON, step=self.step)
        self._users: dict[UserKey, _PendingUser] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, wait: Wait, due: float) -> bool:
        """Adds a wait that ends at `due`; False: it was there already, or was merged.

        Where the latest wait of the conversation ends within the same step of the wheel, it becomes that of the new
        message, so that a member has few waits in a conversation, however many messages it has.
        """
        key = (wait.tenant, wait.user)
        user = self._users.get(key)
        if user is None:
            user = self._users[key] = _PendingUser(key)
        waits = user.waits.setdefault(wait.conversation_id, {})
        if wait.seq in waits:
            return False
        latest = waits[next(reversed(waits))] if waits else None
        if latest is not None and self._merges(latest, wait, due):
            del waits[latest.wait.seq]
            waits[wait.seq] = _Pending(latest.first_due, due, wait._replace(position=latest.wait.position))
            return False
        waits[wait.seq] = _Pending(due, due, wait)
        self._size += 1
        if user.slot < 0 or due < user.due:
            self._schedule(user, due)
        return True

    def acknowledge(self, key: UserKey, conversation_id: str, seq: int) -> list[Wait]:
        """Ends the waits of a user for the messages of a conversation up to a number, and returns them."""
        user = self._users.get(key)
        if user is None or conversation_id not in user.waits:
            return []
        taken = user.take(conversation_id, [one for one in user.waits[conversation_id] if one <= seq])
        self._forget_if_done(user, len(taken))
        return taken

    def expire(self, now: float) -> list[Wait]:
        """Ends the waits whose time is over, and returns them."""
        expired: list[Wait] = []
        for user in self._wheel.advance(now):
            taken: list[Wait] = []
            for conversation_id, waits in list(user.waits.items()):
                taken += user.take(conversation_id, [seq for seq, each in waits.items() if each.due <= now])
            expired += taken
            if not self._forget_if_done(user, len(taken)):
                self._schedule(user, user.first_due())
        return expired

    def _merges(self, latest: _Pending, wait: Wait, due: float) -> bool:
        """Whether a wait takes the place of the latest one."""
        return (
            not (latest.wait.is_mention or wait.is_mention)
            and latest.wait.is_connected == wait.is_connected
            and latest.wait.seq < wait.seq
            and due < latest.first_due + self.step
        )

    def _schedule(self, user: _PendingUser, due: float) -> None:
        user.due = due
        self._wheel.put(user, due)

    def _forget_if_done(self, user: _PendingUser, taken: int) -> bool:
        self._size -= taken
        if user.waits:
            return False
        self._wheel.remove(user)
        del self._users[user.key]
        return True


class HeldPositions:
    """Positions of the log whose notifications are not decided or not published yet; each may be held several times.

    Positions are held in the order of the log, so the first one is the oldest.
    """

    def __init__(self) -> None:
        self._held: OrderedDict[int, int] = OrderedDict()

    def hold(self, position: int) -> None:
        """Holds a position once more."""
        self._held[position] = self._held.get(position, 0) + 1

    def release(self, position: int) -> None:
        """Releases a position that is held."""
        left = self._held[position] - 1
        if left:
            self._held[position] = left
        else:
            del self._held[position]

    def finished(self, read: int) -> int:
        """Up to which position everything is done, where all up to `read` was read."""
        return min(read, next(iter(self._held), read + 1) - 1)
