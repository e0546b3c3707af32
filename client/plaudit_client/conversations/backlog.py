"""What is pushed before the conversations are loaded, and what the device has received of large backlogs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from plaudit_client.conversations.conversation_list import ConversationList
from plaudit_client.conversations.directory import Directory
from plaudit_client.conversations.values import pushed_change
from plaudit_client.errors import PlauditError
from plaudit_client.values import OtherPush

logger = logging.getLogger("plaudit_client")


class HeldPushes:
    """Records pushes until the conversations take them.

    Of each conversation it keeps the numbers of the first and the last change: the changes are fetched when they are
    read, so the size depends on the number of conversations, not of messages.
    """

    def __init__(self) -> None:
        self.ranges: dict[str, tuple[int, int]] = {}
        """The first and the last pushed `message_seq`, by conversation."""
        self.stale: set[str] = set()
        """Conversations of which something else was pushed."""
        self.incomplete: set[str] = set()
        """Conversations of whose backlog only the last messages were pushed."""
        self.changed = asyncio.Event()
        """Set when a backlog is complete, and when the client has ended."""

    def clear(self) -> None:
        """The conversations have taken it."""
        self.ranges.clear()
        self.stale.clear()
        self.incomplete.clear()

    def on_push(self, push: OtherPush) -> None:
        """See `Observer`."""
        if (change := pushed_change(push)) is not None:
            first, last = self.ranges.get(change.conversation_id, (change.message_seq, 0))
            self.ranges[change.conversation_id] = min(first, change.message_seq), max(last, change.message_seq)
        elif push.type in ("messages_expired", "membership_changed"):
            self.stale.add(str(push.fields["conversation_id"]))

    def on_missed(self) -> None:
        """See `Observer`. What was missed is read again from the first number that is known."""
        self.stale.update(self.ranges)

    def on_backlog_done(self, incomplete: Sequence[str]) -> None:
        """See `Observer`."""
        self.incomplete.update(incomplete)
        self.changed.set()

    def on_ended(self, error: PlauditError | None) -> None:
        """See `Observer`."""
        self.changed.set()


async def report_delivered(
    conversation_ids: Sequence[str],
    listed: ConversationList,
    directory: Directory,
    call: Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]],
) -> None:
    """Says of conversations with more messages than were pushed that they are delivered: acknowledgements of pushes do
    not count there. Where that fails, `backlog_done` of the next session names the conversation again."""
    for conversation_id in conversation_ids:
        try:
            last = (listed.get(conversation_id) or await directory.read(conversation_id)).last_message
            if last is not None:
                await call("mark_delivered", {"conversation_id": conversation_id, "message_id": last.message_id})
        except PlauditError as error:
            logger.info("a delivery could not be reported: %s", error)
