"""The loaded part of a conversation: its changes in the order of their numbers, each applied once. No I/O."""

from bisect import insort
from collections.abc import Iterable, Sequence

from plaudit_client.conversations.values import OF_MESSAGES, SENT, Change, Message


class ChangesLog:
    """The messages of a conversation from some point on, as they are now."""

    def __init__(self, applied_seq: int) -> None:
        """`applied_seq`: all changes up to this number are in what is prepended."""
        self.applied_seq = applied_seq
        """All changes up to this number are applied."""
        self._by_id: dict[str, Message] = {}
        self._order: list[tuple[int, str]] = []
        self._ahead: dict[int, Change] = {}
        self._visible_from = 0

    @property
    def has_gap(self) -> bool:
        """Whether changes wait for an earlier one that is missing."""
        return bool(self._ahead)

    @property
    def messages(self) -> list[Message]:
        """The messages in order."""
        return [self._by_id[message_id] for _, message_id in self._order]

    def get(self, message_id: str) -> Message | None:
        """A message that is loaded."""
        return self._by_id.get(message_id)

    def push(self, change: Change) -> None:
        """Applies a change and those that waited for it. An applied one changes nothing; one after a gap waits."""
        if change.message_seq > self.applied_seq:
            self._ahead[change.message_seq] = change
            self._apply_next()

    def fill(self, changes: Sequence[Change], last_seq: int) -> None:
        """Applies the answer of `list_changes` after `applied_seq`; numbers that it leaves out are not for the user."""
        for change in changes:
            if change.message_seq > self.applied_seq:
                self._apply(change)
                self.applied_seq = change.message_seq
        if not changes:
            self.applied_seq = max(self.applied_seq, last_seq)
        for seq in [seq for seq in self._ahead if seq <= self.applied_seq]:
            del self._ahead[seq]
        self._apply_next()

    def prepend(self, messages: Iterable[Message]) -> None:
        """Adds older messages, as they are now."""
        for message in messages:
            self._set(message)

    def hide_before(self, seq: int) -> None:
        """Drops the messages below a number, which have disappeared; the number never goes back."""
        self._visible_from = max(self._visible_from, seq)
        hidden = [message_id for number, message_id in self._order if number < self._visible_from]
        self._order = self._order[len(hidden) :]
        for message_id in hidden:
            del self._by_id[message_id]

    def _apply_next(self) -> None:
        while (change := self._ahead.pop(self.applied_seq + 1, None)) is not None:
            self._apply(change)
            self.applied_seq = change.message_seq

    def _apply(self, change: Change) -> None:
        if change.type not in OF_MESSAGES or change.message is None:
            return
        known = self._by_id.get(change.message.message_id)
        if change.type == SENT:
            self._set(change.message)
        elif known is not None:  # one that is not loaded shows its edit when its page is
            self._set(known.after(change.message))

    def _set(self, message: Message) -> None:
        if message.message_seq < self._visible_from:
            return
        known = self._by_id.get(message.message_id)
        if known is None:
            insort(self._order, (message.message_seq, message.message_id))
        elif _is_later(known, message):
            return  # another answer has brought a later state
        self._by_id[message.message_id] = message


def _is_later(one: Message, other: Message) -> bool:
    if one.delete_time or other.delete_time:  # a deletion is final
        return not other.delete_time
    return _time(one) > _time(other)


def _time(message: Message) -> tuple[str, str]:
    # "…:03Z" and "…:03.500Z": the fraction has 3, 6 or 9 digits or is absent.
    seconds, _, fraction = message.edit_time.rstrip("Z").partition(".")
    return seconds, fraction.ljust(9, "0")
