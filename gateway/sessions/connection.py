"""One client's connection: runs what its session decides, and keeps what the socket cannot take yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import structlog
from google.protobuf.message import Message
from google.rpc import status_pb2

from gateway import metrics
from gateway.fanout.hub import Feed
from gateway.frames.call_reply import reply
from gateway.frames.frame import (
    Answer,
    BrokenSocket,
    Call,
    Fault,
    Frames,
    RenewToken,
    Resume,
    Subscribe,
    Unsubscribe,
    error_of_fault,
)
from gateway.sessions.replay_buffer import Trail
from gateway.sessions.session import Close, CloseCode, Effect, Goaway, Open, Pong, Refuse, Session
from gateway.websocket.socket import Socket
from plaudit.gateway.v1 import frames_pb2 as pb
from plaudit.gateway.v1.node_service_pb2 import Delivery

if TYPE_CHECKING:
    from gateway.node import Node

log = structlog.get_logger()
# Pushes joined into one write, in bytes.
_JOINED = 64 * 1024


class Connection:
    """See `socket.SocketHandler` and `hub.Subscriber`. Nothing here is per connection that could be per node."""

    __slots__ = (
        "_merged",
        "_node",
        "_out",
        "_waiting",
        "device",
        "early",
        "frames",
        "session",
        "session_id",
        "shown",
        "slot",
        "socket",
        "token_id",
        "trail",
    )

    socket: Socket

    def __init__(self, node: Node, frames: Frames, session: Session, token_id: str) -> None:
        self.frames = frames
        self.session = session
        self.session_id = ""
        """Empty until hello, and once the session has gone elsewhere."""
        self.device = ""
        self.trail: Trail | None = None
        """The durable pushes of the session; None: there was none yet."""
        self.early: list[Delivery | None] | None = None
        """What comes while it is being found out if the session can go on (None: something was perhaps missed)."""
        self.token_id = token_id
        self.slot = -1
        """Where the wheel has put it."""
        self._node = node
        self._out = b""
        self._waiting: dict[Feed, None] | None = None
        self._merged = 0
        self.shown = 0
        """The number of the last durable push that was written."""

    def on_open(self, socket: Socket) -> None:
        """See `socket.SocketHandler`."""
        self.socket = socket
        self._node.joined(self)

    def on_message(self, is_text: bool, payload: bytes) -> None:
        """See `socket.SocketHandler`."""
        frames = self.frames
        if is_text is not frames.is_text:
            wanted = "text" if frames.is_text else "binary"
            self.run(self.session.end(CloseCode.UNSUPPORTED_DATA, f"{frames.subprotocol} has {wanted} messages"))
            return
        try:
            frame = frames.read(payload)
        except BrokenSocket as broken:
            self.run(self.session.end(CloseCode(broken.code), broken.reason))
            return
        now = self._node.monotonic()
        effects = self.session.receive(frame, now)
        if frame.__class__ is Call and effects and effects[0] is frame:
            self._call(frame, now)
            return
        metrics.frames_in[frame.__class__.__name__.lower()] += 1
        self.run(effects)

    def on_writable(self) -> None:
        """See `socket.SocketHandler`. What is durable, then the newest of each feed that waited, as much as fits."""
        waiting = self._waiting
        if waiting is None:
            return
        self._show()
        if self._merged:
            self.socket.send(self.frames.notice("lag", pb.Lag(merged=self._merged)))
            self._merged = 0
        while waiting and not self.socket.buffered:
            batch, size = [], 0
            while waiting and size < _JOINED:
                feed = next(iter(waiting))
                del waiting[feed]
                if feed.current is not None:
                    encoded = feed.current.encoded(self.frames)
                    batch.append(encoded)
                    size += len(encoded)
            self.socket.send(b"".join(batch))
        if not waiting and (self.trail is None or self.shown == self.trail.seq):
            self._waiting = None
            self.session.caught_up()

    def on_close(self, code: int, reason: str) -> None:
        """See `socket.SocketHandler`."""
        self._waiting = None
        self._out = b""
        self._node.left(self, code)

    def hold(self, feed: Feed) -> None:
        """See `hub.Subscriber`."""
        waiting = self._wait()
        if feed in waiting:
            self._merged += 1
            metrics.count("merged", 1)
        else:
            waiting[feed] = None

    def tell(self, delivery: Delivery) -> None:
        """See `durable_topics.Listener`."""
        if self.early is not None:
            self.early.append(delivery)
            return
        if self.trail is None:
            self.trail = self._node.new_trail()
        self.trail.add(delivery)
        if self.trail.lost > self.shown:
            self.run(self.session.end(CloseCode.SLOW_CONSUMER, "too many pushes are waiting to be read"))
        else:
            self._show()

    def skip(self) -> None:
        """See `durable_topics.Listener`."""
        if self.early is not None:
            self.early.append(None)
            return
        if self.trail is None:
            self.trail = self._node.new_trail()
        all_shown = self.shown == self.trail.seq
        self.trail.skip()
        if all_shown:
            self.shown = self.trail.seq

    def go_on(self, trail: Trail, seq: int) -> None:
        """Shows the durable pushes of a session that goes on, those after `seq`."""
        self.trail = trail
        self.shown = seq
        early, self.early = self.early, None
        self._show()
        for delivery in early or ():
            self.skip() if delivery is None else self.tell(delivery)

    def _show(self) -> None:
        """Writes the durable pushes that were not written yet, as far as the socket takes them."""
        trail = self.trail
        if trail is None:
            return
        for seq, delivery in trail.after(self.shown):
            if self.socket.buffered:
                self._wait()
                return
            self.socket.send(self.frames.push(delivery.topic, delivery.type, delivery.payload, seq))
            self.shown = seq
            metrics.count("deliveries", 1)

    def _wait(self) -> dict[Feed, None]:
        if self._waiting is None:
            self._waiting = {}
            self.session.behind(self._node.monotonic())
            self._node.schedule(self)
        return self._waiting

    def run(self, effects: Sequence[Effect]) -> None:
        """Does what the session has decided."""
        for effect in effects:
            match effect:
                case Call():
                    self._call(effect, self._node.monotonic())
                case Refuse():
                    self.refuse(effect.id, effect.fault)
                case Pong():
                    if self.trail is not None:
                        self.trail.acknowledge(effect.seq)
                    self.answer(effect.id, "pong", self._node.pong(self))
                case RenewToken():
                    self._node.renewals.renew(self, effect)
                case Open():
                    self._open(effect)
                case Resume():
                    self._node.resume(self, effect)
                case Subscribe():
                    self._subscribe(effect)
                case Unsubscribe():
                    self._node.hub.unsubscribe(self, self.session.tenant, effect.topics)
                    done = pb.Unsubscribed(topics=effect.topics)
                    self.answer(effect.id, "unsubscribed", done)
                case Goaway():
                    self._answer("goaway", self.frames.notice("goaway", self._node.goaway(effect)))
                case Close():
                    self.flush()
                    self.socket.close(effect.code, effect.reason)

    def flush(self) -> None:
        """Writes the answers of this turn of the loop, all at once."""
        out, self._out = self._out, b""
        if not out:
            return
        # What was written before, without this: a single answer may be larger than what may wait.
        waiting = self.socket.buffered
        self.socket.send(out)
        if waiting > self._node.config.reply_buffer:
            self.run(self.session.end(CloseCode.SLOW_CONSUMER, "too many answers are waiting to be read"))

    def answer(self, id: int, kind: Answer, message: Message) -> None:
        """Answers a frame, with the others of this turn of the loop."""
        self._answer(kind, self.frames.answer(id, kind, message))

    def refuse(self, id: int, fault: Fault) -> None:
        """Answers a frame that cannot be obeyed."""
        self.answer(id, "error", error_of_fault(fault))

    def _answer(self, kind: str, frame: bytes) -> None:
        metrics.frames_out[kind] += 1
        if self._out:
            self._out += frame
        else:
            self._out = frame
            self._node.flush_later(self)

    def _call(self, call: Call, began: float) -> None:
        rpc, session = call.rpc, self.session
        metrics.frames_in[rpc.frame] += 1
        self._node.calls.submit(
            rpc.method,
            call.request,
            partial(self._replied, call, began),
            key=session.user if call.key is None else call.key,
            tenant=session.tenant,
            user=session.user,
            timeout=self._node.config.call_timeout,
        )

    def _replied(self, call: Call, began: float, response: bytes | None, status: status_pb2.Status | None) -> None:
        self.session.answered()
        metrics.took(call.rpc.frame, self._node.monotonic() - began)
        answer = reply(self.frames, call, response, status)
        if answer is not None:
            self._answer(*answer)

    def _open(self, hello: Open) -> None:
        self.socket.raise_limit()
        self._node.opened(self, hello.device)
        log.debug("session opened", session=self.session_id, client=hello.client)
        self.answer(hello.id, "welcome", self._node.welcome(self))

    def resumed(self, id: int, resumed: pb.Resumed, topics: dict[str, int]) -> None:
        """Answers `resume` and subscribes the topics, each with the newest version the client has seen of its state."""
        self.socket.raise_limit()
        self.session.resumed(topics)
        self._subscribe_with(self.frames.answer(id, "resumed", resumed), topics, topics)
        metrics.frames_out["resumed"] += 1

    def _subscribe(self, subscribe: Subscribe) -> None:
        metrics.frames_out["subscribed"] += 1
        done = self.frames.answer(subscribe.id, "subscribed", pb.Subscribed(topics=subscribe.topics))
        self._subscribe_with(done, subscribe.topics)

    def _subscribe_with(self, answer: bytes, topics: Iterable[str], seen: Mapping[str, int] | None = None) -> None:
        known = self._node.hub.subscribe(self, self.session.tenant, topics, seen)
        # At once and not with the other answers: a push of a newer version must not overtake what is known now.
        self._out += answer
        self.flush()
        for feed in known:
            self.hold(feed)
        if not self.socket.buffered:
            self.on_writable()
