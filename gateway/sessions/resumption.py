"""Continues sessions on new connections, and releases them to other nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog

from gateway import metrics
from gateway.errors import NoSuchSession
from gateway.fanout.delivery import Delivery
from gateway.frames.frame import Resume
from gateway.sessions import handover
from gateway.sessions.backlog import Backlogs
from gateway.sessions.connection import Connection
from gateway.sessions.detached_sessions import DetachedSession
from gateway.sessions.device_acks import DeviceAcks
from gateway.sessions.frame_codec import SessionFrames
from gateway.sessions.handover import COMPLETE, EMPTY_SNAPSHOT, PARTIAL, RESET, Moved, SessionSnapshot
from gateway.sessions.replay_buffer import ReplayBuffer
from gateway.sessions.resume_token import Claim, ResumeTokens
from gateway.sessions.session_locator import SessionLocator
from gateway.sessions.session_table import SessionTable

log = structlog.get_logger()


class Resumption:
    """Both ends of a move. A session is on one node at a time: the node that releases it forgets it."""

    def __init__(
        self,
        sessions: SessionTable,
        session_frames: SessionFrames,
        tokens: ResumeTokens,
        locator: SessionLocator,
        device_acks: DeviceAcks,
        backlogs: Backlogs,
        is_open: Callable[[Connection], bool],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        """`is_open`: whether the socket of a connection is open; `spawn` runs a task in the background."""
        self._sessions = sessions
        self._session_frames = session_frames
        self._tokens = tokens
        self._locator = locator
        self._device_acks = device_acks
        self._backlogs = backlogs
        self._is_open = is_open
        self._spawn = spawn
        self._in_progress: dict[str, asyncio.Event] = {}
        """The sessions that this node is taking over, each with an event for the end of it."""

    def resume(self, connection: Connection, frame: Resume) -> None:
        """Answers `resume`: immediately where the session is on this node, and its durable topics are confirmed."""
        session, durable = connection.session, self._sessions.durable
        claim = self._tokens.open(session.tenant, session.user, frame.session, frame.token)
        if claim is None or not handover.is_valid_seq(frame.seq):
            self._reset(connection, frame)
            return
        topics = self._durable_topics(frame)
        are_confirmed = all(durable.is_confirmed(session.tenant, topic) for topic in topics)
        is_in_progress = claim.session_id in self._in_progress
        if are_confirmed and not is_in_progress and self._continue_local(connection, frame, claim):
            return
        connection.buffered_during_resume = []
        for topic in topics:
            durable.subscribe(connection, session.tenant, topic)
        received = [one for topic in topics for one in durable.recent(session.tenant, topic, handover.MAX_SKEW)]
        self._spawn(self._take_over(connection, frame, claim, received))

    async def release_session(self, tenant: str, user: str, session_id: str, to_node: str) -> SessionSnapshot | Moved:
        """See `NodeService.TakeOver` in the contract. Raises NoSuchSession."""
        sessions = self._sessions
        in_progress = self._in_progress.get(session_id)
        if in_progress is not None:
            async with asyncio.timeout(sessions.limits.take_over):
                await in_progress.wait()
        detached = self._detach(tenant, user, session_id)
        if detached is None:
            moved_to = sessions.detached.forwarding_node(session_id)
            if not moved_to:
                raise NoSuchSession("no session of that id and user is here", field="session_id")
            return Moved(moved_to)
        sessions.detached.forward(session_id, to_node, sessions.monotonic())
        sessions.directory.closed(session_id)
        durable = sessions.durable
        try:
            timeout = sessions.limits.take_over / 2
            received_there = await asyncio.gather(
                *(durable.wait_until_received_by(detached.tenant, topic, to_node, timeout) for topic in detached.topics)
            )
            topics = {
                topic: durable.recent(detached.tenant, topic) if is_complete else None
                for topic, is_complete in zip(detached.topics, received_there, strict=True)
            }
            return handover.snapshot_of(detached, topics)
        finally:
            sessions.detached.close(detached)

    def _continue_local(self, connection: Connection, frame: Resume, claim: Claim) -> bool:
        """Continues a session of this node; False: it is not here."""
        session = connection.session
        detached = self._detach(session.tenant, session.user, claim.session_id)
        if detached is None:
            return False
        connection.buffered_during_resume = None
        if frame.seq > detached.replay_buffer.seq:
            self._sessions.directory.closed(claim.session_id)
            self._reset(connection, frame)
        else:
            snapshot = handover.snapshot_of(detached, dict.fromkeys(detached.topics, ()))
            self._continue(connection, frame, claim, snapshot, ())
        self._sessions.detached.close(detached)
        return True

    def _detach(self, tenant: str, user: str, session_id: str) -> DetachedSession | None:
        """Removes a session of this user and closes the socket it has; it stays subscribed until it is closed."""
        sessions = self._sessions
        connection = sessions.connected.get(session_id)
        if connection is not None:
            if (connection.session.tenant, connection.session.user) != (tenant, user):
                return None
            detached = sessions.detach(connection)
            connection.run(connection.session.moved())
            return detached
        found = sessions.detached.remove(session_id)
        if found is not None and (found.tenant, found.user) != (tenant, user):
            sessions.retain(found)
            return None
        return found

    async def _take_over(
        self, connection: Connection, frame: Resume, claim: Claim, received: Sequence[Delivery]
    ) -> None:
        """Continues a session once its topics are confirmed. `received`: recent pushes of its topics that this node
        received."""
        session = connection.session
        # What a client loads after `resumed` and what it is pushed have to be complete together.
        await self._sessions.durable.wait_until_confirmed(session.tenant, self._durable_topics(frame))
        while (in_progress := self._in_progress.get(claim.session_id)) is not None:
            await in_progress.wait()
        if self._continue_local(connection, frame, claim):
            return
        ended = self._in_progress[claim.session_id] = asyncio.Event()
        try:
            snapshot = await self._locator.take_over(session.tenant, session.user, claim)
            if snapshot is None or (snapshot is not EMPTY_SNAPSHOT and frame.seq > snapshot.seq):
                self._reset(connection, frame)
            else:
                self._continue(connection, frame, claim, snapshot, received)
                self._announce(connection, claim)
        except Exception:
            log.exception("resume failed", session=claim.session_id)
            self._reset(connection, frame)
        finally:
            del self._in_progress[claim.session_id]
            ended.set()

    def _continue(
        self,
        connection: Connection,
        frame: Resume,
        claim: Claim,
        snapshot: SessionSnapshot,
        received: Sequence[Delivery],
    ) -> None:
        sessions, session = self._sessions, connection.session
        topics = self._durable_topics(frame)
        reload = handover.topics_to_reload(snapshot, topics, frame.seq)
        if connection.buffered_during_resume is not None:
            uncertain = [topic for topic in topics if not sessions.durable.is_certain(session.tenant, topic)]
            reload = [topic for topic in topics if topic in reload or topic in uncertain]
            connection.buffered_during_resume = handover.not_in_snapshot(
                snapshot, [*received, *connection.buffered_during_resume]
            )
        self._device_acks.add(session.tenant, session.user, claim.device, handover.received_up_to(snapshot, frame.seq))
        buffer = sessions.new_replay_buffer(frame.seq)
        handover.renumber_into(buffer, snapshot, [topic for topic in topics if topic not in reload], frame.seq)
        if not self._is_open(connection) or session.closed:
            self._keep_unanswered(connection, claim, topics, reload, buffer)
            return
        verdict = PARTIAL if reload else COMPLETE
        sessions.attach(connection, claim.session_id, claim.device)
        self._answer(connection, frame, verdict, reload, frame.seq, dict(frame.topics))
        if frame.backlog and session.own_topic in reload:
            # What was received here meanwhile waits, too.
            connection.replay_buffer, connection.last_sent_seq = buffer, frame.seq
            self._backlogs.start(connection)
        else:
            connection.continue_from(buffer, frame.seq)
        (log.info if reload else log.debug)(
            "session resumed",
            session=claim.session_id,
            verdict=verdict,
            client=frame.client,
            known=snapshot is not EMPTY_SNAPSHOT,
        )

    def _announce(self, connection: Connection, claim: Claim) -> None:
        """Registers the session as one of this node."""
        session = connection.session
        if claim.session_id in self._sessions:
            self._sessions.directory.opened(
                claim.session_id, session.tenant, session.user, claim.device, token_issued=session.token_issued
            )

    def _keep_unanswered(
        self,
        connection: Connection,
        claim: Claim,
        topics: Sequence[str],
        reload: Sequence[str],
        buffer: ReplayBuffer,
    ) -> None:
        """Keeps a session whose client disconnected before it was answered: it will resume with the same numbers."""
        session = connection.session
        if reload:
            buffer.mark_gap()
        detached = DetachedSession(claim.session_id, session.tenant, session.user, claim.device, tuple(topics), buffer)
        self._sessions.retain(detached)
        buffered, connection.buffered_during_resume = connection.buffered_during_resume, None
        for topic in topics:
            self._sessions.durable.unsubscribe(connection, session.tenant, topic)
        for delivery in buffered or ():
            if delivery is None:
                detached.mark_gap()
            else:
                detached.deliver(delivery)

    def _reset(self, connection: Connection, frame: Resume) -> None:
        """Opens a new session instead."""
        session = connection.session
        connection.buffered_during_resume = None
        for topic in self._durable_topics(frame):
            self._sessions.durable.unsubscribe(connection, session.tenant, topic)
        if not self._is_open(connection) or session.closed:
            return
        self._sessions.open(connection, frame.device)
        self._answer(connection, frame, RESET, (), 0, {})
        if frame.backlog and frame.device:
            self._backlogs.start(connection)

    def _answer(
        self,
        connection: Connection,
        frame: Resume,
        verdict: str,
        reload: Sequence[str],
        seq: int,
        topics: dict[str, int],
    ) -> None:
        metrics.resumes[verdict] += 1
        resumed = self._session_frames.resumed(
            connection.session, connection.session_id, connection.device, verdict=verdict, reload=reload, seq=seq
        )
        connection.resumed(frame.id, resumed, topics)

    def _durable_topics(self, frame: Resume) -> list[str]:
        return [topic for topic, _ in frame.topics if self._sessions.durable.is_durable(topic)]
