"""Pushes to a device what it has not received, before anything else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from gateway.contracts.close_codes import CloseCode
from gateway.fanout.durable_topics import DurableTopics
from gateway.ports import Calls
from gateway.sessions.connection import Connection
from gateway.sessions.delivery_codec import PendingPage, list_pending_to_pb, pending_from_pb
from gateway.sessions.frame_codec import SessionFrames
from kit.errors import RemoteError

log = structlog.get_logger()
LIST_PENDING = "/plaudit.message.v1.DeliveryService/ListPending"
_PAUSES = (0.1, 0.3, 1.0, 3.0)
# Conversations that `backlog_done` names.
_MAX_NAMED = 1_000


class Backlogs:
    """One task for each connection that gets a backlog. Live pushes wait until it is sent: see `PushSender.hold`."""

    def __init__(
        self,
        calls: Calls,
        durable: DurableTopics,
        session_frames: SessionFrames,
        is_open: Callable[[Connection], bool],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        """`is_open`: whether the socket of a connection is open; `spawn` runs a task in the background."""
        self._calls = calls
        self._durable = durable
        self._session_frames = session_frames
        self._is_open = is_open
        self._spawn = spawn

    def start(self, connection: Connection) -> None:
        """Subscribes the session to the topic of its user, and pushes its backlog."""
        session = connection.session
        session.topics = (session.topics or set()) | {session.own_topic}
        connection.hold()
        self._durable.subscribe(connection, session.tenant, session.own_topic)
        self._spawn(self._run(connection))

    async def _run(self, connection: Connection) -> None:
        session = connection.session
        # Everything that is not in what is read from now on is pushed.
        await self._durable.wait_until_confirmed(session.tenant, [session.own_topic])
        conversations: set[str] = set()
        incomplete: dict[str, None] = {}
        messages, token = 0, ""
        while self._is_open(connection) and not session.closed:
            page = await self._page(connection, token)
            if page is None:
                connection.run(session.end(CloseCode.INTERNAL, "the backlog cannot be read"))
                return
            if not self._is_open(connection) or session.closed:
                return
            incomplete.update(dict.fromkeys(page.incomplete))
            messages += len(page.messages)
            conversations.update(conversation_id for conversation_id, _, _ in page.messages)
            connection.push_backlog(page.messages, page.incomplete)
            token = page.next_token
            if not token:
                named = list(incomplete)[:_MAX_NAMED]
                done = self._session_frames.backlog_done(len(conversations), messages, named)
                connection.end_backlog(connection.frames.notice("backlog_done", done))
                return
            await connection.writable()

    async def _page(self, connection: Connection, token: str) -> PendingPage | None:
        """A page; None: it cannot be read."""
        session = connection.session
        request = list_pending_to_pb(session.tenant, session.user, connection.device, token)
        for pause in (*_PAUSES, None):
            try:
                return pending_from_pb(await self._calls.call(LIST_PENDING, request, key=session.user))
            except RemoteError as error:
                log.info("a backlog cannot be read", reason=error.reason)
            if pause is None or not self._is_open(connection):
                break
            await asyncio.sleep(pause)
        return None
