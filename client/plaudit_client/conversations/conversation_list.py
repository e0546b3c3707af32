"""The conversations of the user, with what is unread. No I/O."""

import time
from dataclasses import replace
from datetime import UTC, datetime

from plaudit_client.conversations.values import CLOSED, DELETED, EDITED, SENT, Change, Conversation

FORMER = "ROLE_UNSPECIFIED"
_ROLES = {
    "CHANGE_TYPE_MEMBERS_ADDED": "ROLE_MEMBER",
    "CHANGE_TYPE_MEMBER_REMOVED": FORMER,
    "CHANGE_TYPE_MEMBER_LEFT": FORMER,
}


class ConversationList:
    """Conversations by their ids."""

    def __init__(self, user: str) -> None:
        self._user = user
        self._all: dict[str, Conversation] = {}

    @property
    def all(self) -> list[Conversation]:
        """Those of which the user is a member and that are not archived: pinned ones first, then the latest change."""
        return sorted(self._listed(), key=lambda one: (one.pinned, _time(one.update_time)), reverse=True)

    def unread(self, now_ms: int | None = None) -> int:
        """How many messages are unread in conversations that are not muted."""
        now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        return sum(one.unread_count for one in self._listed() if one.mute_until_ms <= now)

    def get(self, conversation_id: str) -> Conversation | None:
        """A conversation that is known, also one that the user was a member of."""
        return self._all.get(conversation_id)

    def with_peer(self, user: str) -> Conversation | None:
        """The direct conversation with a user, where it is known."""
        return next((one for one in self._all.values() if one.peer_id == user), None)

    def load(self, loaded: Conversation) -> bool:
        """Sets a conversation as the server has it; False: pushes have brought a later state, which stays."""
        known = self._all.get(loaded.conversation_id)
        if known is not None and known.last_message_seq > loaded.last_message_seq:
            return False
        if known is not None and known.read_seq > loaded.read_seq:  # the server does not know it yet
            is_read = known.read_seq >= loaded.last_message_seq
            unread = 0 if is_read else min(known.unread_count, loaded.unread_count)
            loaded = replace(loaded, unread_count=unread, read_seq=known.read_seq)
        self._all[loaded.conversation_id] = loaded
        return True

    def read(self, conversation_id: str, message_seq: int, unread: int) -> None:
        """The user has read up to a message; so many later ones are unread."""
        known = self._all.get(conversation_id)
        if known is not None and message_seq > known.read_seq:
            self._all[conversation_id] = replace(known, read_seq=message_seq, unread_count=unread)

    def remove(self, conversation_id: str) -> None:
        """Forgets a conversation."""
        self._all.pop(conversation_id, None)

    def unseen(self, loaded: set[str]) -> list[str]:
        """The listed conversations that are not among those of the server's list."""
        return [one.conversation_id for one in self._listed() if one.conversation_id not in loaded]

    def push(self, change: Change) -> bool:
        """Applies a pushed change; False: the conversation must be read again."""
        if change.type == CLOSED:  # the server does not show it any more
            self.remove(change.conversation_id)
            return True
        known = self._all.get(change.conversation_id)
        if known is None:
            return False
        if change.message_seq <= known.last_message_seq:
            return True
        if change.message_seq > known.last_message_seq + 1:
            return False
        made = datetime.fromtimestamp(change.timestamp / 1000, UTC).isoformat()
        moved = replace(known, last_message_seq=change.message_seq, update_time=made)
        self._all[change.conversation_id] = self._after(moved, change)
        # Of these a push does not have all that the list shows.
        return change.type in (SENT, EDITED, DELETED)

    def _listed(self) -> list[Conversation]:
        return [one for one in self._all.values() if one.role != FORMER and not one.archived]

    def _after(self, known: Conversation, change: Change) -> Conversation:
        message = change.message
        if change.type == SENT and message is not None:
            if message.sender_id == self._user:  # sending moves the sender's own position
                return replace(known, last_message=message, unread_count=0, read_seq=change.message_seq)
            return replace(known, last_message=message, unread_count=known.unread_count + 1)
        if change.type in (EDITED, DELETED) and message is not None:
            # What follows the read position is of others, since sending moves it.
            was_unread = change.type == DELETED and message.message_seq > known.read_seq
            last = known.last_message
            if last is not None and last.message_id == message.message_id:
                last = last.after(message)
            return replace(known, last_message=last, unread_count=max(0, known.unread_count - was_unread))
        if self._user in change.user_ids and change.type in _ROLES:
            return replace(known, role=_ROLES[change.type])
        return known


def _time(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp() if iso else 0.0
