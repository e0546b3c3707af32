"""The pushes of one connection: writes those that the socket accepts, and keeps track of the rest."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from gateway import metrics
from gateway.contracts.close_codes import CloseCode
from gateway.fanout.delivery import Delivery
from gateway.fanout.feed import ConflatedFeed
from gateway.frames.frame import Frames
from gateway.sessions.device_acks import NEW_MESSAGE, SentBacklog, cursors_of
from gateway.sessions.effects import Effect
from gateway.sessions.host import ConnectionHost
from gateway.sessions.replay_buffer import ReplayBuffer
from gateway.sessions.session import Session
from gateway.websocket.socket import Socket

# Pushes are joined into writes of about this size, in bytes.
_BATCH_BYTES = 64 * 1024


class PushSender(ABC):
    """The part of a connection that sends pushes. See `hub.Subscriber`.

    A base class and not an object of its own, which would cost memory for each connection.
    """

    __slots__ = (
        "_backlog",
        "_host",
        "_merged",
        "_pending",
        "_writable",
        "buffered_during_resume",
        "frames",
        "last_sent_seq",
        "replay_buffer",
        "session",
        "socket",
    )

    socket: Socket
    _host: ConnectionHost[Any]

    def __init__(self, host: ConnectionHost[Any], frames: Frames, session: Session) -> None:
        self.frames = frames
        self.session = session
        self.replay_buffer: ReplayBuffer | None = None
        """The durable pushes of the session; None: there were none yet."""
        self.buffered_during_resume: list[Delivery | None] | None = None
        """Durable pushes that arrive before it is known whether the session can continue, or before its backlog is
        sent; None in it stands for a gap."""
        self.last_sent_seq = 0
        """The number of the last durable push that was written."""
        self._host = host
        self._pending: dict[ConflatedFeed, None] | None = None
        self._merged = 0
        self._backlog: SentBacklog | None = None
        self._writable: asyncio.Future[None] | None = None

    @abstractmethod
    def run(self, effects: Sequence[Effect]) -> None:
        """Executes what the session has decided."""

    def mark_pending(self, feed: ConflatedFeed) -> None:
        """See `hub.Subscriber`."""
        pending = self._block()
        if feed in pending:
            self._merged += 1
            metrics.count("merged", 1)
        else:
            pending[feed] = None

    def show(self, feed: ConflatedFeed) -> None:
        """See `subscriber.DurableSubscriber`."""
        if self.session.resuming:
            return  # the client loads the state after `resumed`
        if self._pending is not None or self.socket.buffered:
            self.mark_pending(feed)
        elif feed.current is not None:
            self.socket.send(feed.current.encoded(self.frames))
            metrics.count("deliveries", 1)

    def deliver(self, delivery: Delivery) -> int:
        """See `subscriber.DurableSubscriber`."""
        if self.buffered_during_resume is not None:
            self.buffered_during_resume.append(delivery.on(self.session.own_topic))
            if self.session.opened and len(self.buffered_during_resume) > self._host.config.resume.pushes:
                self.run(self.session.end(CloseCode.SLOW_CONSUMER, "too many pushes wait for the backlog"))
            return 0
        if self._backlog is not None and self._backlog.has(delivery):
            return 0
        buffer, socket, sent_seq = self.replay_buffer, self.socket, self.last_sent_seq
        if buffer is None:
            buffer = self.replay_buffer = self._host.new_replay_buffer()
        seq = buffer.add(delivery)
        if buffer.truncated_to > sent_seq:
            self.run(self.session.end(CloseCode.SLOW_CONSUMER, "too many pushes are waiting to be read"))
            return 0
        if sent_seq != seq - 1 or not socket.direct:
            return self._send_durable()
        socket.send(self.frames.push(self.session.own_topic, delivery.type, delivery.payload, seq))
        self.last_sent_seq = seq
        return 1

    def mark_gap(self) -> None:
        """See `subscriber.DurableSubscriber`."""
        if self.buffered_during_resume is not None:
            self.buffered_during_resume.append(None)
            return
        if self.replay_buffer is None:
            self.replay_buffer = self._host.new_replay_buffer()
        all_sent = self.last_sent_seq == self.replay_buffer.seq
        self.replay_buffer.mark_gap()
        if all_sent:
            self.last_sent_seq = self.replay_buffer.seq

    def continue_from(self, replay_buffer: ReplayBuffer, seq: int) -> None:
        """Sends the durable pushes of a resumed session, those after `seq`."""
        self.replay_buffer = replay_buffer
        self.last_sent_seq = seq
        buffered, self.buffered_during_resume = self.buffered_during_resume, None
        written = self._send_durable()
        for delivery in buffered or ():
            if delivery is None:
                self.mark_gap()
            else:
                written += self.deliver(delivery)
        metrics.count("deliveries", written)

    def hold(self) -> None:
        """Holds durable pushes back until `end_backlog`."""
        if self.buffered_during_resume is None:
            self.buffered_during_resume = []
        if self.replay_buffer is None:
            self.replay_buffer = self._host.new_replay_buffer()
        self._backlog = SentBacklog()

    def push_backlog(self, messages: Sequence[tuple[str, int, bytes]], incomplete: Sequence[str]) -> None:
        """Pushes messages that the device lacks: the conversation, `message_seq` and message of each, in order.

        They are numbered and not kept: where they do not arrive, they are read again. In `incomplete` conversations
        acks do not count.
        """
        buffer, backlog = self.replay_buffer, self._backlog
        if buffer is None or backlog is None:
            return
        backlog.incomplete.update(incomplete)
        frames = []
        for conversation_id, message_seq, payload in messages:
            self.last_sent_seq = buffer.skip()
            backlog.add(self.last_sent_seq, conversation_id, message_seq)
            frames.append(self.frames.push(self.session.own_topic, NEW_MESSAGE, payload, self.last_sent_seq))
        self.socket.send(b"".join(frames))
        metrics.count("deliveries", len(frames))

    def end_backlog(self, done: bytes) -> None:
        """Writes the frame that ends the backlog, then the pushes that were held back."""
        held, self.buffered_during_resume = self.buffered_during_resume, None
        if held is None:
            return
        self.socket.send(done)
        written = 0
        for delivery in held:
            if delivery is None:
                self.mark_gap()
            else:
                written += self.deliver(delivery)
        metrics.count("deliveries", written)

    def abandon_backlog(self) -> None:
        """Where a backlog is not sent completely: marks a gap instead, so that a resume learns of it."""
        if self._backlog is not None and self.buffered_during_resume is not None:
            self.buffered_during_resume = None
            self.mark_gap()

    def acknowledge(self, seq: int) -> dict[str, int]:
        """Drops the durable pushes up to a number; returns the last message of each conversation among them."""
        if self.replay_buffer is None:
            return {}
        seq = min(seq, self.last_sent_seq)
        cursors = cursors_of(self.replay_buffer.acknowledge(seq))
        return cursors if self._backlog is None else self._backlog.acknowledge(seq, cursors)

    async def writable(self) -> None:
        """Waits until the socket has accepted what was written, or has closed."""
        if self.socket.buffered:
            self._block()
            self._writable = asyncio.get_running_loop().create_future()
            await self._writable

    def _notify_writable(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    def on_writable(self) -> None:
        """See `socket.SocketHandler`. Sends what fits: durable pushes, then the newest update of each pending feed."""
        self._notify_writable()
        pending = self._pending
        if pending is None:
            return
        metrics.count("deliveries", self._send_durable())
        if self._merged:
            self.socket.send(self.frames.notice("lag", self._host.session_frames.lag(self._merged)))
            self._merged = 0
        while pending and not self.socket.buffered:
            batch, size = [], 0
            while pending and size < _BATCH_BYTES:
                feed = next(iter(pending))
                del pending[feed]
                if feed.current is not None:
                    encoded = feed.current.encoded(self.frames)
                    batch.append(encoded)
                    size += len(encoded)
            self.socket.send(b"".join(batch))
        if not pending and (self.replay_buffer is None or self.last_sent_seq == self.replay_buffer.seq):
            self._pending = None
            self.session.pushes_flushed()

    def _send_durable(self) -> int:
        """Writes the durable pushes that were not written yet, until the socket is full; returns how many."""
        replay_buffer, written = self.replay_buffer, 0
        if replay_buffer is None:
            return 0
        own_topic = self.session.own_topic
        for seq, delivery in replay_buffer.after(self.last_sent_seq):
            if self.socket.buffered:
                self._block()
                break
            self.socket.send(self.frames.push(own_topic, delivery.type, delivery.payload, seq))
            self.last_sent_seq = seq
            written += 1
        return written

    def _block(self) -> dict[ConflatedFeed, None]:
        """Records that pushes wait for the socket; returns the pending feeds."""
        if self._pending is None:
            self._pending = {}
            self.session.push_blocked(self._host.monotonic())
            self._host.schedule(self)
        return self._pending

    def drop_pending(self, feeds: Iterable[ConflatedFeed]) -> None:
        """Drops the updates of feeds that wait for the socket."""
        for feed in feeds if self._pending else ():
            self._pending.pop(feed, None)  # type: ignore[union-attr]

    def _drop_pending(self) -> None:
        self._pending = None
        self._notify_writable()
