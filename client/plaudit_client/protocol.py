"""One client session over many sockets, without I/O: frames, losses and time in, effects out."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from plaudit_client import effects as fx
from plaudit_client.calls import Call, Calls
from plaudit_client.effects import Effect
from plaudit_client.errors import Loss, PlauditError
from plaudit_client.frames import (
    Answer,
    BacklogDone,
    Frame,
    Goaway,
    InvalidFrame,
    Pong,
    Pushed,
    Refusal,
    Resumed,
    SubscriptionEnded,
    TokenRenewed,
    Welcome,
    decode,
    encode,
    encode_call,
)
from plaudit_client.options import Options, full_jitter
from plaudit_client.phase import Phase
from plaudit_client.renewal import Renewal
from plaudit_client.resume_state import ResumeState
from plaudit_client.subscribe_requests import SubscribeRequests
from plaudit_client.topics import Topics
from plaudit_client.values import OwnReactions

GOING_AWAY = (1001, 1012, 1013, 4000)
RESUME_BYTES = 3_000  # before there is a session, messages have at most 4 KiB
MISSED = "something was missed"


class Protocol:
    """The state machine of the client; `now`: monotonic seconds, `random`: uniform over [0, 1)."""

    def __init__(
        self, hello: Mapping[str, Any], options: Options, random: Callable[[], float], *, can_renew: bool = False
    ) -> None:
        """`can_renew`: `RenewToken` can return another token."""
        self._hello = hello
        self._options = options
        self._random = random
        self._phase = Phase.WAITING
        self.calls = Calls(options.max_calls, lambda attempt: full_jitter(options, attempt, random))
        self._topics = Topics()
        self._requests = SubscribeRequests(self._topics, options, random, self._next_id)
        self._welcome = Welcome()
        self._last_id = 0
        self._attempt = 0
        self._not_before = 0.0  # from a goaway or refusal; applies after the socket, too
        self._phase_ends: float | None = None  # WAITING: dial; GREETING: time-out; READY: reconnect
        self._ping_at = self._received_at = 0.0
        self.resume_state = ResumeState()
        self._renewal = Renewal(random, can_renew)
        self._is_draining = False  # the node has sent goaway
        self.error: PlauditError | None = None

    @property
    def ended(self) -> bool:
        """Whether the client has ended."""
        return self._phase is Phase.ENDED

    def start(self) -> list[Effect]:
        """Starts to connect."""
        self._phase = Phase.DIALLING
        return [fx.Dial()]

    def opened(self, now: float) -> list[Effect]:
        """The socket is open."""
        if self._phase is not Phase.DIALLING:
            return []
        self._phase, self._phase_ends = Phase.GREETING, now + self._options.dial_timeout
        self._received_at = now
        self._is_draining = False
        self.resume_state.answered()
        if not self.resume_state.token:
            return [fx.Send(encode("hello", self._next_id(), self._hello))]
        asked = self.resume_state.request(self._welcome.session, self._topics.positions(RESUME_BYTES))
        return [fx.Send(encode("resume", self._next_id(), {**self._hello, **asked}))]

    def received(self, text: str, now: float) -> list[Effect]:
        """Handles a text message."""
        if self._phase not in (Phase.GREETING, Phase.READY):
            return []
        self._received_at = now
        try:
            frame = decode(text)
        except InvalidFrame as error:
            return self._close_socket(1007, f"no frame: {error}"[:100])
        if self._phase is Phase.GREETING:
            return self._on_greeting_answer(frame, now)
        return self._on_frame(frame, now)

    def lost(self, loss: Loss, now: float) -> list[Effect]:
        """Handles the loss of the socket, or a failed attempt to open one."""
        if self._phase is Phase.ENDED:
            return []
        if (error := loss.terminal()) is not None:
            was_ready = self._phase in (Phase.READY, Phase.CLOSING)
            if not (loss.has_expired and self._renewal.may_dial_again(was_ready)):
                return self._end(error)
        self._renewal.lost()
        self.resume_state.lost()
        wait = full_jitter(self._options, self._attempt, self._random)
        self._attempt += 1
        self._phase = Phase.WAITING
        self._phase_ends = max(now + wait, now + (loss.retry_after or 0.0), self._not_before)
        self._requests.disconnected()
        return self.calls.disconnected()

    def needs_other_address(self, loss: Loss) -> bool:
        """Whether to try another address next: this one is stopping, or has refused the session."""
        return loss.code in GOING_AWAY or self._phase in (Phase.DIALLING, Phase.GREETING) or self._is_draining

    def tick(self, now: float) -> list[Effect]:
        """Performs what is due at `now`."""
        if self._phase is Phase.ENDED:
            return []
        effects = self.calls.tick(now)
        if self._phase_ends is not None and now >= self._phase_ends:
            self._phase_ends = None
            if self._phase is Phase.WAITING:
                return [*effects, *self.start()]
            return [*effects, *self._close_socket(4000, "moving" if self._phase is Phase.READY else "no welcome")]
        if self._phase is Phase.READY:
            if now - self._received_at >= 2 * self._welcome.heartbeat:
                return [*effects, *self._close_socket(4002, "no pong")]
            if now >= self._ping_at:
                self._ping_at = now + self._welcome.heartbeat
                effects.append(fx.Send(encode("ping", self._next_id(), {"seq": self.resume_state.acked_seq})))
            if (ack_at := self.resume_state.ack_at) is not None and now >= ack_at:
                effects.append(fx.Send(encode("ack", self._next_id(), {"seq": self.resume_state.acknowledge()})))
            if self._renewal.due is not None and now >= self._renewal.due:
                self._renewal.asked()
                effects.append(fx.RenewToken())
            effects += self._requests.tick(now)
            effects += self.calls.flush()
        return effects

    def wakeup(self) -> float | None:
        """The time of the next `tick`, at the latest."""
        times = [self.calls.wakeup(), self._phase_ends, self._requests.retry_at]
        if self._phase is Phase.READY:
            times += [self._ping_at, self._received_at + 2 * self._welcome.heartbeat]
            times += [self._renewal.due, self.resume_state.ack_at]
        return min((time for time in times if time is not None), default=None)

    def call(
        self, frame_type: str, fields: Mapping[str, Any], deadline: float, *, repeat: bool, wait_for_rate_limit: bool
    ) -> tuple[int, list[Effect]]:
        """Makes a call, now or once there is a session; `Answered` or `Failed` follows. Raises PlauditError."""
        self._check_open()
        call_id = self._next_id()
        text = encode_call(frame_type, call_id, fields, self._welcome.message_bytes)
        self.calls.add(Call(call_id, text, deadline, repeat, wait_for_rate_limit))
        return call_id, self.calls.flush() if self._phase is Phase.READY else []

    def forget(self, call_id: int) -> list[Effect]:
        """Removes a call whose caller has given up."""
        self.calls.forget(call_id)
        return self.calls.flush() if self._phase is Phase.READY else []

    def subscribe(self, topics: Sequence[str]) -> list[Effect]:
        """Subscribes to topics, until they are unsubscribed as often. Raises PlauditError."""
        self._check_open()
        self._topics.add(topics)
        return self._requests.missing() if self._phase is Phase.READY else []

    def unsubscribe(self, topics: Sequence[str]) -> list[Effect]:
        """Ends one subscription of each topic."""
        removed = self._topics.remove(topics)
        if not removed or self._phase is not Phase.READY:
            return []
        return [fx.Send(encode("unsubscribe", self._next_id(), {"topics": list(removed)}))]

    def known(self, topics: Sequence[str]) -> list[Effect]:
        """The known state of topics, for a further subscription."""
        confirmed = self._topics.are_confirmed(topics)
        return [fx.Confirmed(confirmed), *(fx.Deliver(update) for update in self._topics.latest(topics))]

    def renew(self, token: str, now: float) -> list[Effect]:
        """Sends a new token; empty: there is none yet."""
        if self._phase is not Phase.READY:
            return []
        if not token:
            self._renewal.failed(now)
            return []
        frame_id = self._next_id()
        self._renewal.sent(frame_id)
        return [fx.Send(encode("renew_token", frame_id, {"token": token}))]

    def close(self, error: PlauditError | None = None) -> list[Effect]:
        """Ends the client; `error`: the reason."""
        return [] if self._phase is Phase.ENDED else self._end(error)

    def _on_greeting_answer(self, frame: Frame | None, now: float) -> list[Effect]:
        if isinstance(frame, Refusal):
            if frame.error.code not in ("UNAVAILABLE", "RESOURCE_EXHAUSTED"):
                if not self.resume_state.is_pending:
                    return self._end(frame.error)
                self.resume_state.token = ""  # then a new session
            self._not_before = now + (frame.error.retry_after or 0.0)
            return self._close_socket(4000, "not welcome")
        if isinstance(frame, Goaway):
            self._not_before = now + frame.reconnect_after
            return self._close_socket(4000, "moving")
        if isinstance(frame, Resumed):
            return self._resumed(frame, now)
        if not isinstance(frame, Welcome):
            return []
        if verdict := "reset" if self._welcome.session else "":
            self._requests.require_reload()
        self._begin(frame, 0, now, has_backlog=True)
        return [fx.Ready(frame, verdict), *self._requests.missing(), *self._requests.reload(), *self.calls.flush()]

    def _begin(self, welcome: Welcome, seq: int, now: float, *, has_backlog: bool) -> None:
        if has_backlog and self._hello.get("backlog"):
            self.resume_state.is_backlog_pending = True
            if not self._welcome.session:  # the server has subscribed to it, too
                self._topics.add([f"users/{welcome.user}"])
        self._phase, self._phase_ends, self._welcome = Phase.READY, None, welcome
        self.resume_state.begin(welcome.resume_token, seq)
        self._ping_at = now + welcome.heartbeat
        self._renewal.begins(welcome.token_seconds, now)
        self.calls.in_flight = welcome.calls_in_flight or self._options.max_calls

    def _resumed(self, frame: Resumed, now: float) -> list[Effect]:
        asked = self.resume_state.answered()
        is_reset = frame.verdict == "reset"
        own = f"users/{frame.welcome.user}"
        self._begin(frame.welcome, frame.seq, now, has_backlog=is_reset or own in frame.reload)
        effects: list[Effect] = [fx.Ready(frame.welcome, frame.verdict)]
        if not is_reset:
            effects.append(fx.Confirmed(self._topics.resumed(asked)))
            if unsubscribed := self._topics.unsubscribed(asked):
                effects.append(fx.Send(encode("unsubscribe", self._next_id(), {"topics": list(unsubscribed)})))
        if is_reset or frame.reload:
            self._requests.require_reload()
        return [*effects, *self._requests.missing(), *self._requests.reload(), *self.calls.flush()]

    def reloaded(self, held: Sequence[OwnReactions]) -> list[Effect]:
        """Handles own reactions that were loaded."""
        return self._requests.reloaded(held)

    def _on_frame(self, frame: Frame | None, now: float) -> list[Effect]:
        match frame:
            case Answer(id=frame_id, fields=fields):
                self._attempt = 0  # this server works
                if self._topics.is_pending(frame_id):
                    return self._requests.confirmed(frame_id)
                return [*self.calls.answered(frame_id, fields), *self.calls.flush()]
            case Refusal(id=frame_id, error=error):
                if self._topics.is_pending(frame_id):
                    return self._requests.refused(frame_id, error, now)
                if self._renewal.is_answer(frame_id):
                    return self.renew("", now)
                return [*self.calls.refused(frame_id, error, now), *self.calls.flush()]
            case SubscriptionEnded(topics=topics, error=error):
                return self._requests.ended(topics, error, now)
            case TokenRenewed(id=frame_id, seconds=seconds) if self._renewal.is_answer(frame_id):
                self._renewal.begins(seconds, now)
            case Pushed(update=update, seq=seq):
                delivered: list[Effect] = [fx.Deliver(update)] if self._topics.accept(update) else []
                return [*delivered, *([] if self.resume_state.receive(seq, now) else self._close_socket(4000, MISSED))]
            case BacklogDone(incomplete=incomplete):
                self.resume_state.is_backlog_pending = False
                return [fx.BacklogDone(incomplete)]
            case Pong(seq=seq, resume_token=token):
                self._attempt = 0
                self.resume_state.token = token or self.resume_state.token
                return self._close_socket(4000, MISSED) if seq > self.resume_state.seq else []
            case Goaway(reconnect_after=after):
                # Until then this socket answers its calls; later ones go to another node.
                self._not_before = self._phase_ends = now + after
                self._is_draining = True
        return []

    def _close_socket(self, code: int, reason: str) -> list[Effect]:
        self._phase, self._phase_ends = Phase.CLOSING, None
        return [fx.CloseSocket(code, reason)]

    def _end(self, error: PlauditError | None) -> list[Effect]:
        self._phase, self._phase_ends, self.error = Phase.ENDED, None, error
        failure = error or PlauditError("CANCELLED", "CLOSED", "the client was closed")
        return [*self.calls.fail_all(failure), fx.CloseSocket(1000, "goodbye"), fx.Ended(error)]

    def _check_open(self) -> None:
        if self._phase is Phase.ENDED:
            raise self.error or PlauditError("CANCELLED", "CLOSED", "the client was closed")

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id
