"""One client's connection: reads its frames, executes what its session decides, and writes the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import structlog

from gateway import metrics
from gateway.contracts.close_codes import CloseCode
from gateway.errors import ERRORS
from gateway.fanout.confirmations import Wait
from gateway.frames.call_reply import reply
from gateway.frames.frame import (
    Acknowledge,
    Answer,
    BrokenSocket,
    Call,
    Fault,
    Frames,
    RenewToken,
    Resume,
    SessionMessage,
    Subscribe,
    Unsubscribe,
    error_of_fault,
    error_of_status,
)
from gateway.sessions import topic_admission
from gateway.sessions.effects import Close, Effect, Goaway, Open, Pong, Refuse
from gateway.sessions.host import ConnectionHost
from gateway.sessions.push_sender import PushSender
from gateway.sessions.session import Session
from gateway.websocket.socket import Socket
from kit.access.domain import is_of_conversation
from kit.errors import Problem, status_of
from kit.rpc.service_call import CallStatus, Payload, ServiceCall

log = structlog.get_logger()
# How long a socket of a user in debt is not read at a time, in seconds; far below the time until it counts as silent.
_MAX_PAUSE = 5.0


class Connection(PushSender):
    """See `socket.SocketHandler` and `hub.Subscriber`. What can be shared by all connections is in the host."""

    __slots__ = ("_out", "_resume_reading", "_waits", "device", "session_id", "slot", "token_id")

    _host: ConnectionHost[Connection]

    def __init__(self, host: ConnectionHost[Connection], frames: Frames, session: Session, token_id: str) -> None:
        super().__init__(host, frames, session)
        self.session_id = ""
        """Empty before hello, and after the session has moved to another socket."""
        self.device = ""
        self.token_id = token_id
        self.slot = -1
        """See `timing_wheel.Scheduled`."""
        self._out = b""
        self._resume_reading: asyncio.TimerHandle | None = None
        self._waits: list[Wait] | None = None
        """The waits of `subscribe` frames that are not answered yet; None: there is no such frame."""

    def on_open(self, socket: Socket) -> None:
        """See `socket.SocketHandler`."""
        self.socket = socket
        self._host.connection_opened(self)

    def on_message(self, is_text: bool, payload: bytes) -> None:
        """See `socket.SocketHandler`."""
        frames = self.frames
        if is_text is not frames.is_text:
            wanted = "text" if frames.is_text else "binary"
            self.run(self.session.end(CloseCode.UNSUPPORTED_DATA, f"{frames.subprotocol} has {wanted} messages"))
            return
        now, session = self._host.monotonic(), self.session
        debt = self._host.budgets.charge((session.tenant, session.user), len(payload), now)
        if debt:
            debt = self._pay_back(debt, len(payload))
        try:
            frame = frames.read(payload)
        except BrokenSocket as broken:
            self.run(self.session.end(CloseCode(broken.code), broken.reason))
            return
        effects = self.session.receive(frame, now, debt)
        if frame.__class__ is Call and effects and effects[0] is frame:
            self._call(frame, now)
            return
        metrics.frames_in[frame.__class__.__name__.lower()] += 1
        self.run(effects)

    def _pay_back(self, debt: float, size: int) -> float:
        """Reads no more for some of the debt; returns the debt, 0.0 where the user has it only since this message."""
        if self._resume_reading is None:
            self.socket.pause_reading()
            self._resume_reading = asyncio.get_running_loop().call_later(min(debt, _MAX_PAUSE), self._read_again)
        return debt if debt > self._host.budgets.price(size) else 0.0

    def _read_again(self) -> None:
        self._resume_reading = None
        self.socket.resume_reading()

    def on_close(self, code: int, reason: str) -> None:
        """See `socket.SocketHandler`."""
        if self._resume_reading is not None:
            self._resume_reading.cancel()
            self._resume_reading = None
        self._drop_pending()
        self._out = b""
        self._host.connection_closed(self, code)

    def run(self, effects: Sequence[Effect]) -> None:
        """Executes what the session has decided."""
        for effect in effects:
            match effect:
                case Call():
                    self._call(effect, self._host.monotonic())
                case Refuse():
                    self.refuse(effect.id, effect.fault)
                case Pong():
                    self._pong(effect)
                case Acknowledge():
                    self._acknowledge(effect.seq)
                case RenewToken():
                    self._host.renew_token(self, effect)
                case Open():
                    self._open(effect)
                case Resume():
                    self._host.resume(self, effect)
                case Subscribe():
                    self._subscribe(effect)
                case Unsubscribe():
                    self._unsubscribe(effect)
                case Goaway():
                    self._queue("goaway", self.frames.notice("goaway", self._host.session_frames.goaway(effect)))
                case Close():
                    self.flush()
                    self.socket.close(effect.code, effect.reason)

    def flush(self) -> None:
        """Writes the queued answers in one write."""
        out, self._out = self._out, b""
        if not out:
            return
        # What was buffered before this write: a single answer may be larger than the limit.
        buffered = self.socket.buffered
        self.socket.send(out)
        if buffered > self._host.config.reply_buffer:
            self.run(self.session.end(CloseCode.SLOW_CONSUMER, "too many answers are waiting to be read"))

    def answer(self, id: int, kind: Answer, message: SessionMessage) -> None:
        """Queues the answer to a frame until the end of this iteration of the event loop."""
        self._queue(kind, self.frames.answer(id, kind, message))

    def refuse(self, id: int, fault: Fault) -> None:
        """Answers a frame with an error."""
        self.answer(id, "error", error_of_fault(fault))

    def resumed(self, id: int, resumed: SessionMessage, topics: dict[str, int]) -> None:
        """Answers `resume` and subscribes to the topics, each with the newest version of its state that the client has
        seen."""
        self.socket.raise_limit()
        self.session.resumed(topics)
        checked = [topic for topic in topics if is_of_conversation(topic)]
        others = [topic for topic in topics if topic not in checked] if checked else topics
        self._subscribe_with(self.frames.answer(id, "resumed", resumed), others, topics)
        metrics.frames_out["resumed"] += 1
        if checked:
            self._host.start(topic_admission.resume(self, self._host, checked, topics))

    def _queue(self, kind: str, frame: bytes) -> None:
        metrics.frames_out[kind] += 1
        if self._out:
            self._out += frame
        else:
            self._out = frame
            self._host.flush_later(self)

    def _call(self, call: Call, began: float) -> None:
        rpc, session = call.rpc, self.session
        metrics.frames_in[rpc.frame] += 1
        on_reply, timeout = partial(self._on_reply, call, began), self._host.config.call_timeout
        scope = rpc.scope_among(session.scopes)
        self._host.calls.submit(
            ServiceCall(rpc.method, call.request, on_reply, session.tenant, session.user, False, timeout, scope),
            key=session.user if call.key is None else call.key,
        )

    def _on_reply(self, call: Call, began: float, response: Payload | None, status: CallStatus | None) -> None:
        self.session.call_answered()
        metrics.observe_call(call.rpc.frame, self._host.monotonic() - began)
        answer = reply(self.frames, call, response, status)
        if answer is not None:
            self._queue(*answer)

    def _acknowledge(self, seq: int) -> None:
        device = self.session.tenant, self.session.user, self.device
        self._host.device_acks.add_cursors(device, self.acknowledge(seq))

    def _pong(self, pong: Pong) -> None:
        self._acknowledge(pong.seq)
        message = self._host.session_frames.pong(self.session, self.session_id, self.device, self.last_sent_seq)
        self.answer(pong.id, "pong", message)

    def _open(self, hello: Open) -> None:
        self.socket.raise_limit()
        self._host.open_session(self, hello.device)
        log.debug("session opened", session=self.session_id, client=hello.client)
        welcome = self._host.session_frames.welcome(self.session, self.session_id, self.device)
        self.answer(hello.id, "welcome", welcome)
        if hello.backlog:
            self._host.start_backlog(self)

    def _subscribe(self, subscribe: Subscribe) -> None:
        """Subscribes to the durable topics, and answers when every push about what happens after the answer arrives.

        Topics of conversations are admitted first.
        """
        if any(map(is_of_conversation, subscribe.topics)):
            self._host.start(topic_admission.subscribe(self, self._host, subscribe))
            return
        durable, tenant = self._host.hub.durable, self.session.tenant
        topics = [topic for topic in subscribe.topics if durable.is_durable(topic)]
        for topic in topics:
            durable.subscribe(self, tenant, topic)
        wait = durable.when_confirmed(tenant, topics, partial(self.subscribed, subscribe)) if topics else None
        if wait is None:
            self.subscribed(subscribe)
        else:
            self._waits = [*(self._waits or ()), wait]

    def subscribed(self, subscribe: Subscribe) -> None:
        """Answers `subscribe`, and subscribes to those topics that were not unsubscribed while it waited."""
        if self._waits is not None:
            self._waits = [wait for wait in self._waits if wait.topics] or None
        metrics.frames_out["subscribed"] += 1
        message = self._host.session_frames.subscribed(subscribe.topics)
        answer = self.frames.answer(subscribe.id, "subscribed", message)
        subscribed = self.session.topics or ()
        self._subscribe_with(answer, [topic for topic in subscribe.topics if topic in subscribed])

    def refused(self, subscribe: Subscribe, topic: str, problem: Problem) -> None:
        """See `topic_admission.AdmittedConnection`."""
        self.session.unsubscribed(subscribe.new)
        self._host.hub.unsubscribe(self, self.session.tenant, subscribe.new)
        error = error_of_status(status_of(problem, ERRORS))
        error.field = f"topics[{subscribe.topics.index(topic)}]"
        self.answer(subscribe.id, "error", error)

    def subscribed_again(self, topics: Sequence[str], seen: Mapping[str, int]) -> None:
        """See `topic_admission.AdmittedConnection`."""
        metrics.frames_out["subscribed"] += 1
        answer = self.frames.answer(0, "subscribed", self._host.session_frames.subscribed(topics))
        self._subscribe_with(answer, topics, seen)

    def _unsubscribe(self, unsubscribe: Unsubscribe) -> None:
        durable, tenant = self._host.hub.durable, self.session.tenant
        for wait in self._waits or ():
            durable.skip(wait, tenant, unsubscribe.topics)
        self._host.hub.unsubscribe(self, tenant, unsubscribe.topics)
        message = self._host.session_frames.unsubscribed(unsubscribe.topics)
        self.answer(unsubscribe.id, "unsubscribed", message)

    def cancel_waits(self) -> None:
        """Leaves `subscribe` frames without an answer: the session leaves this connection."""
        waits, self._waits = self._waits, None
        for wait in waits or ():
            self._host.hub.durable.cancel(wait)

    def end_subscriptions(self, topics: Sequence[str], problem: Problem) -> None:
        """See `conversation_topics.ConversationSubscriber`. Updates that wait for the socket are dropped."""
        hub, tenant = self._host.hub, self.session.tenant
        for topic in topics:
            self.drop_pending(hub.feeds_of(tenant, topic))
        self.session.unsubscribed(topics)
        hub.unsubscribe(self, tenant, topics)
        ended = self._host.session_frames.subscription_ended(topics, status_of(problem, ERRORS))
        self._queue("subscription_ended", self.frames.notice("subscription_ended", ended))

    def _subscribe_with(self, answer: bytes, topics: Iterable[str], seen: Mapping[str, int] | None = None) -> None:
        ready = self._host.hub.subscribe(self, self.session.tenant, topics, seen)
        # Immediately, not with the queued answers: a push of a newer version must not overtake the current one.
        self._out += answer
        self.flush()
        for feed in ready:
            self.mark_pending(feed)
        if not self.socket.buffered:
            self.on_writable()
