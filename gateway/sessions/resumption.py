"""Sessions that go on: found here or fetched from another node, and given to others that ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import grpc
import structlog
from google.protobuf.message import DecodeError

from gateway import metrics
from gateway.errors import NoSuchSession
from gateway.frames.frame import Resume
from gateway.sessions import handover
from gateway.sessions.detached_sessions import Departed
from gateway.sessions.handover import COMPLETE, NOTHING, PARTIAL, RESET, Held
from gateway.sessions.replay_buffer import Trail
from gateway.sessions.resume_token import Claim
from kit.errors import RemoteError
from plaudit.gateway.v1 import frames_pb2, node_service_pb2_grpc
from plaudit.gateway.v1 import node_service_pb2 as pb
from plaudit.session.v1 import session_registry_service_pb2 as registry_pb

if TYPE_CHECKING:
    from gateway.node import Node
    from gateway.sessions.connection import Connection

log = structlog.get_logger()
_REGISTRY = registry_pb.DESCRIPTOR.services_by_name["SessionRegistryService"].full_name
_GET_SESSIONS = f"/{_REGISTRY}/GetSessions"
# Nodes asked one after the other for a session that moves while it is looked for.
_TAKE_OVER = "/plaudit.gateway.v1.NodeService/TakeOver"
_HOPS = 4


class Resumption:
    """Both ends of a move. A session is with one node at a time: whoever gives it knows it no longer."""

    def __init__(self, node: Node, spawn: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        self._node = node
        self._spawn = spawn
        self._arriving: dict[str, asyncio.Event] = {}

    def resume(self, connection: Connection, frame: Resume) -> None:
        """Answers `resume`: at once where the session was here."""
        node, session = self._node, connection.session
        claim = node.tokens.open(session.tenant, session.user, frame.session, frame.token)
        if claim is None or not handover.is_number(frame.seq):
            self._reset(connection, frame)
            return
        if claim.session_id not in self._arriving and self._found_here(connection, frame, claim):
            return
        wanted = self._durable(frame)
        connection.early = []
        for topic in wanted:
            node.durable.join(connection, session.tenant, topic)
        here = [one for topic in wanted for one in node.durable.recent(session.tenant, topic, handover.APART)]
        self._spawn(self._arrive(connection, frame, claim, here))

    async def give(self, request: pb.TakeOverRequest) -> pb.TakeOverResponse:
        """See `NodeService.TakeOver` in the contract. Raises NoSuchSession."""
        node = self._node
        arriving = self._arriving.get(request.session_id)
        if arriving is not None:
            async with asyncio.timeout(node.config.resume.take_over):
                await arriving.wait()
        departed = self._detach(request.tenant, request.user, request.session_id)
        if departed is None:
            moved_to = node.departures.whereabouts(request.session_id)
            if not moved_to:
                raise NoSuchSession("no session of that id and user is here", field="session_id")
            return pb.TakeOverResponse(moved_to=moved_to)
        node.departures.moved(departed.session_id, request.node_id, node.monotonic())
        node.directory.closed(departed.session_id)
        try:
            patience = node.config.resume.take_over / 2
            reached = await asyncio.gather(
                *(node.durable.reaches(departed.tenant, topic, request.node_id, patience) for topic in departed.topics)
            )
            received = {
                topic: node.durable.recent(departed.tenant, topic) if complete else None
                for topic, complete in zip(departed.topics, reached, strict=True)
            }
            return handover.to_pb(_held(departed, received))
        finally:
            self._end(departed)

    def _found_here(self, connection: Connection, frame: Resume, claim: Claim) -> bool:
        """Goes on with a session of this node; False: it is not here."""
        session = connection.session
        departed = self._detach(session.tenant, session.user, claim.session_id)
        if departed is None:
            return False
        connection.early = None
        if frame.seq > departed.trail.seq:
            self._node.directory.closed(claim.session_id)
            self._reset(connection, frame)
        else:
            self._go_on(connection, frame, claim, _held(departed, dict.fromkeys(departed.topics, ())), ())
        self._end(departed)
        return True

    def _detach(self, tenant: str, user: str, session_id: str) -> Departed | None:
        """Takes a session out, with what is kept; a socket it has is closed. It still listens: see `_end`."""
        node = self._node
        connection = node.sessions.get(session_id)
        if connection is not None:
            if (connection.session.tenant, connection.session.user) != (tenant, user):
                return None
            departed = node.part(connection)
            connection.run(connection.session.moved())
            return departed
        found = node.departures.take(session_id)
        if found is not None and (found.tenant, found.user) != (tenant, user):
            node.depart(found)
            return None
        return found

    def _end(self, departed: Departed) -> None:
        self._node.departures.end(departed)
        departed.trail.close()

    async def _arrive(self, connection: Connection, frame: Resume, claim: Claim, here: Sequence[pb.Delivery]) -> None:
        while (arriving := self._arriving.get(claim.session_id)) is not None:
            await arriving.wait()
        if self._found_here(connection, frame, claim):
            return
        done = self._arriving[claim.session_id] = asyncio.Event()
        try:
            held = await self._find(connection, claim)
            if held is None or (held is not NOTHING and frame.seq > held.seq):
                self._reset(connection, frame)
            else:
                self._go_on(connection, frame, claim, held, here)
                self._announce(connection, claim)
        except Exception:
            log.exception("resume failed", session=claim.session_id)
            self._reset(connection, frame)
        finally:
            del self._arriving[claim.session_id]
            done.set()

    async def _find(self, connection: Connection, claim: Claim) -> Held | None:
        """What another node has kept. `NOTHING`: that node is gone or does not answer; None: there is no session."""
        node, session = self._node, connection.session
        asked = {node.node_id}
        gone = claim.node_id != node.node_id
        next_one = node.departures.whereabouts(claim.session_id) or claim.node_id
        for _ in range(_HOPS):
            if next_one in asked:
                next_one = await self._look_up(session.tenant, session.user, claim.session_id)
                if not next_one or next_one in asked:
                    break
            asked.add(next_one)
            address = node.calls.address_of(next_one)
            if not address:
                continue
            request = pb.TakeOverRequest(
                tenant=session.tenant, user=session.user, session_id=claim.session_id, node_id=node.node_id
            )
            # Not over the call stream, which would wait for a node to come back that may be dead.
            stub: Any = node_service_pb2_grpc.NodeServiceStub(node.calls.channel(address))
            try:
                response = await stub.TakeOver(
                    request, metadata=node.calls.metadata(_TAKE_OVER), timeout=node.config.resume.take_over
                )
            except grpc.aio.AioRpcError as error:
                log.info("session was not given", session=claim.session_id, node=next_one, code=error.code().name)
                gone = gone and error.code() is not grpc.StatusCode.NOT_FOUND
            else:
                if not response.moved_to:
                    return handover.from_pb(response, session.tenant)
                next_one = response.moved_to
        return NOTHING if gone else None

    async def _look_up(self, tenant: str, user: str, session_id: str) -> str:
        """The node that has a session, as the registry knows it."""
        request = registry_pb.GetSessionsRequest(tenant=tenant, user=user)
        calls, timeout = self._node.calls, self._node.config.resume.take_over
        for address in calls.addresses(_REGISTRY):  # one of them leads, and answers
            try:
                answer = await calls.call(_GET_SESSIONS, request.SerializeToString(), at=address, timeout=timeout)
                found = registry_pb.GetSessionsResponse.FromString(answer).sessions
            except (RemoteError, DecodeError):
                continue
            return next((one.node_id for one in found if one.session_id == session_id), "")
        return ""

    def _go_on(
        self, connection: Connection, frame: Resume, claim: Claim, held: Held, here: Sequence[pb.Delivery]
    ) -> None:
        node, session = self._node, connection.session
        wanted = self._durable(frame)
        reload = handover.missing(held, wanted, frame.seq)
        if connection.early is not None:
            unsure = [topic for topic in wanted if not node.durable.is_sure(session.tenant, topic)]
            reload = [topic for topic in wanted if topic in reload or topic in unsure]
            connection.early = handover.unknown_there(held, [*here, *connection.early])
        trail = node.new_trail(frame.seq)
        handover.renumbered(held, [topic for topic in wanted if topic not in reload], frame.seq, trail)
        if connection not in node or session.closed:
            self._keep_for_later(connection, claim, wanted, reload, trail)
            return
        verdict = PARTIAL if reload else COMPLETE
        node.holds(connection, claim.session_id, claim.device)
        resumed = self._resumed(connection, verdict, reload, frame.seq)
        connection.resumed(frame.id, resumed, dict(frame.topics))
        connection.go_on(trail, frame.seq)
        metrics.resumes[verdict] += 1
        say = log.info if reload else log.debug
        say(
            "session goes on", session=claim.session_id, verdict=verdict, client=frame.client, known=held is not NOTHING
        )

    def _announce(self, connection: Connection, claim: Claim) -> None:
        """From now on this node has the session, as far as the others know."""
        session = connection.session
        if claim.session_id in self._node.sessions or claim.session_id in self._node.departures:
            self._node.directory.opened(claim.session_id, session.tenant, session.user, claim.device)

    def _keep_for_later(
        self, connection: Connection, claim: Claim, wanted: Sequence[str], reload: Sequence[str], trail: Trail
    ) -> None:
        """The client is gone again before it was answered: it comes back with the same numbers."""
        session = connection.session
        if reload:
            trail.skip()
        departed = Departed(claim.session_id, session.tenant, session.user, claim.device, tuple(wanted), trail)
        self._node.depart(departed)
        early, connection.early = connection.early, None
        for topic in wanted:
            self._node.durable.leave(connection, session.tenant, topic)
        for one in early or ():
            if one is None:
                departed.skip()
            else:
                departed.tell(one)

    def _reset(self, connection: Connection, frame: Resume) -> None:
        node, session = self._node, connection.session
        connection.early = None
        for topic in self._durable(frame):
            node.durable.leave(connection, session.tenant, topic)
        if connection not in node or session.closed:
            return
        metrics.resumes[RESET] += 1
        node.opened(connection, frame.device)
        connection.resumed(frame.id, self._resumed(connection, RESET, (), 0), {})

    def _resumed(self, connection: Connection, verdict: str, reload: Sequence[str], seq: int) -> frames_pb2.Resumed:
        welcome = self._node.welcome(connection)
        return frames_pb2.Resumed(
            session=welcome.session,
            user=welcome.user,
            node=welcome.node,
            heartbeat_seconds=welcome.heartbeat_seconds,
            limits=welcome.limits,
            server_time_ms=welcome.server_time_ms,
            resume_token=welcome.resume_token,
            resume_window_seconds=welcome.resume_window_seconds,
            token_expire_time_ms=welcome.token_expire_time_ms,
            verdict=verdict,
            reload=reload,
            seq=seq,
        )

    def _durable(self, frame: Resume) -> list[str]:
        return [topic for topic, _ in frame.topics if self._node.durable.has(topic)]


def _held(departed: Departed, topics: Mapping[str, Sequence[pb.Delivery] | None]) -> Held:
    trail = departed.trail
    return Held(trail.seq, trail.lost, tuple(trail.after(0)), topics)
