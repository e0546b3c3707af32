"""What the user has sent and changed, and the server has not accepted yet: in order, and kept in a mapping."""

import json
import time
from collections.abc import MutableMapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

_PREFIX = "plaudit.queue."


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A message, edit or deletion.

    `id` is the `client_msg_id` or `op_id`, the same for all attempts. Entries of one `lane` are sent one after the
    other. `recipient_id` instead of `conversation_id`: the server names the conversation. `target`: the message to
    change, its id or the `client_msg_id` of one that is not sent yet. `forward_of`: the message whose content is sent,
    of which `content` is what is shown; `forward_count`: how often it is forwarded then.
    """

    id: str
    action: str
    lane: str
    conversation_id: str = ""
    recipient_id: str = ""
    target: str = ""
    content: str = ""
    content_type: str = "text"
    reply_to: str = ""
    mentions: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    forward_of: str = ""
    forward_count: int = 0

    def request(self) -> tuple[str, dict[str, Any]]:
        """The frame type and the fields of the call."""
        if self.action == "send":
            place = (
                {"conversation_id": self.conversation_id}
                if self.conversation_id
                else {"recipient_id": self.recipient_id}
            )
            if self.forward_of:
                return "send_message", {**place, "forward_of": self.forward_of, "client_msg_id": self.id}
            return "send_message", {
                **place,
                "content": self.content,
                "content_type": self.content_type,
                "client_msg_id": self.id,
                "reply_to": self.reply_to,
                "mentions": list(self.mentions),
                "metadata": self.metadata,
            }
        subject = {"conversation_id": self.conversation_id, "message_id": self.target, "op_id": self.id}
        if self.action == "delete":
            return "delete_message", subject
        text = {"content": self.content, "mentions": list(self.mentions), "metadata": self.metadata}
        return "edit_message", {**subject, **text}


class Outbox:
    """Entries in the order of their creation. `storage` keeps them over a restart of the program, in the same order."""

    def __init__(self, user: str, storage: MutableMapping[str, str] | None = None) -> None:
        self._prefix = f"{_PREFIX}{user}."
        self._storage = storage
        self._entries: dict[str, OutboxEntry] = {}
        self._keys: dict[str, str] = {}
        self._order = 0
        for key in sorted(key for key in storage or () if key.startswith(self._prefix)):
            assert storage is not None
            entry = _read(storage[key])
            if entry is None:
                del storage[key]
            else:
                self._entries[entry.id], self._keys[entry.id] = entry, key

    def __len__(self) -> int:
        return len(self._entries)

    def set(self, entry: OutboxEntry) -> None:
        """Adds an entry at the end, or replaces the one with its id."""
        self._entries[entry.id] = entry
        if self._storage is not None:
            key = self._keys.setdefault(entry.id, self._new_key(entry.id))
            self._storage[key] = json.dumps(asdict(entry))

    def remove(self, entry_id: str) -> None:
        """Forgets an entry."""
        self._entries.pop(entry_id, None)
        key = self._keys.pop(entry_id, None)
        if self._storage is not None and key is not None:
            self._storage.pop(key, None)

    def head(self, lane: str) -> OutboxEntry | None:
        """The entry of a lane that is to be sent next."""
        return next((entry for entry in self._entries.values() if entry.lane == lane), None)

    def lanes(self) -> list[str]:
        """The lanes with entries."""
        return list(dict.fromkeys(entry.lane for entry in self._entries.values()))

    def pending(self, conversation_id: str) -> list[OutboxEntry]:
        """The entries of a conversation."""
        return [entry for entry in self._entries.values() if entry.conversation_id == conversation_id]

    def sent(self, entry: OutboxEntry, conversation_id: str, message_id: str) -> None:
        """The server has accepted an entry: later ones of its lane get the names that they did not know."""
        self.remove(entry.id)
        for later in [each for each in self._entries.values() if each.lane == entry.lane]:
            named = replace(later, conversation_id=later.conversation_id or conversation_id)
            if later.target == entry.id:
                named = replace(named, target=message_id)
            if named != later:
                self.set(named)

    def _new_key(self, entry_id: str) -> str:
        # Keys sort as the entries were added, also where the clock stands still.
        self._order = max(self._order + 1, time.time_ns())
        return f"{self._prefix}{self._order:020}.{entry_id}"


def _read(text: str) -> OutboxEntry | None:
    try:
        fields = json.loads(text)
        return OutboxEntry(**{**fields, "mentions": tuple(fields["mentions"])})
    except (ValueError, TypeError, KeyError):
        return None
