"""Refusals of what a user may not see, and the reason of each on the wire."""

from __future__ import annotations

import grpc

from kit.errors import ErrorTable, Problem


class ConversationNotFound(Problem):
    """There is no such conversation, or the caller is no member of it."""


class MessageNotFound(Problem):
    """There is no such message, or the caller may not see it."""


ACCESS_ERRORS: ErrorTable = {
    ConversationNotFound: (grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND"),
    MessageNotFound: (grpc.StatusCode.NOT_FOUND, "MESSAGE_NOT_FOUND"),
}
