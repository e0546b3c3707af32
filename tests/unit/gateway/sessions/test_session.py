"""The session machine, with time as a number."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.config import SessionLimits
from gateway.contracts.close_codes import CloseCode
from gateway.contracts.tables import read_tables
from gateway.frames.frame import Call, Hello, Ping, Resume, Subscribe, Unreadable, Unsubscribe, invalid
from gateway.sessions.effects import Close, Effect, Goaway, Open, Pong, Refuse
from gateway.sessions.session import Session

RPC = read_tables().frames["toggle_reaction"]
LIMITS = SessionLimits(frames_per_second=10, frames_burst=20, refusals_burst=5, calls_in_flight=2, topics=3)
NEVER = 1e9


def session(*, said_hello: bool = True, expires: float = NEVER, limits: SessionLimits = LIMITS) -> Session:
    made = Session("acme", "alice", expires, limits, 0.0)
    if said_hello:
        assert made.receive(Hello(1, "phone", ""), 0.0) == (Open(1, "phone", ""),)
    return made


def call(id: int = 7) -> Call:
    return Call(id, RPC, b"", "messages/42")


def code(effects: Sequence[Effect]) -> CloseCode:
    (effect,) = effects
    assert isinstance(effect, Close)
    return effect.code


def reason(effects: Sequence[Effect]) -> str:
    (effect,) = effects
    assert isinstance(effect, Refuse)
    return effect.fault.reason


def test_a_call_of_an_open_session_is_made() -> None:
    frame = call()
    assert session().receive(frame, 1.0) == (frame,)


@pytest.mark.parametrize("frame", [call(), Ping(1), Subscribe(1, ["messages/1"]), Unsubscribe(1, ["messages/1"])])
def test_any_frame_before_hello_closes_with_4502(frame: Call | Ping | Subscribe | Unsubscribe) -> None:
    assert code(session(said_hello=False).receive(frame, 0.0)) == CloseCode.BAD_FRAME


def test_a_second_hello_closes_with_4502() -> None:
    assert code(session().receive(Hello(2, "", ""), 1.0)) == CloseCode.BAD_FRAME


def test_no_effect_follows_a_close() -> None:
    closed = session()
    closed.fenced()
    assert closed.receive(call(), 1.0) == ()
    assert closed.tick(1000.0) == ()
    assert closed.fenced() == ()


def test_a_client_that_does_not_send_hello_is_closed_after_ten_seconds() -> None:
    waiting = session(said_hello=False)
    assert waiting.tick(9.9) == ()
    assert code(waiting.tick(10.0)) == CloseCode.BAD_FRAME


def test_unreadable_frames_do_not_extend_the_wait_for_hello() -> None:
    waiting = session(said_hello=False)
    fault = invalid("not JSON")
    assert waiting.receive(Unreadable(0, fault), 9.0) == (Refuse(0, fault),)
    assert code(waiting.tick(10.0)) == CloseCode.BAD_FRAME


def test_a_client_that_is_silent_for_ninety_seconds_is_closed_with_4002() -> None:
    quiet = session()
    assert quiet.receive(Ping(3), 30.0) == (Pong(3),)
    assert quiet.tick(119.0) == ()
    assert code(quiet.tick(120.0)) == CloseCode.SILENT


def test_a_session_ends_with_its_token() -> None:
    short = session(expires=50.0)
    assert short.due == 50.0
    assert short.tick(49.9) == ()
    assert code(short.tick(50.0)) == CloseCode.BAD_TOKEN


def test_frames_above_the_rate_are_refused_with_a_retry_delay() -> None:
    busy = session()
    for _ in range(19):
        assert busy.receive(Ping(1), 0.0) == (Pong(1),)
    (refused,) = busy.receive(Ping(9), 0.0)
    assert isinstance(refused, Refuse)
    assert (refused.id, refused.fault.reason, refused.fault.code) == (9, "RATE_LIMITED", "RESOURCE_EXHAUSTED")
    assert refused.fault.retry_after_ms == 100
    assert busy.receive(Ping(9), refused.fault.retry_after_ms / 1000) == (Pong(9),)


def test_a_client_that_continues_to_flood_is_closed_with_4503() -> None:
    flooding = session()
    effects: Sequence[Effect] = ()
    for _ in range(19 + LIMITS.refusals_burst + 1):
        effects = flooding.receive(Ping(1), 0.0)
    assert code(effects) == CloseCode.LIMIT


def test_calls_in_flight_are_bounded_and_an_answer_frees_capacity() -> None:
    busy = session()
    assert len(busy.receive(call(1), 0.0)) == len(busy.receive(call(2), 0.0)) == 1
    assert reason(busy.receive(call(3), 0.0)) == "TOO_MANY_CALLS"
    busy.call_answered()
    frame = call(4)
    assert busy.receive(frame, 0.0) == (frame,)


def test_the_topic_of_another_user_is_forbidden_and_no_topic_of_the_frame_is_subscribed() -> None:
    curious = session()
    (refused,) = curious.receive(Subscribe(5, ["messages/1", "users/bob"]), 0.0)
    assert isinstance(refused, Refuse)
    assert (refused.fault.code, refused.fault.field) == ("PERMISSION_DENIED", "topics[1]")
    assert curious.topics is None


@pytest.mark.parametrize("topic", ["message/42", "nothing/1", "user/alice", "messages/..", "messages/a b"])
def test_an_invalid_topic_is_refused_like_a_call_with_an_invalid_target(topic: str) -> None:
    mistaken = session()
    (refused,) = mistaken.receive(Subscribe(9, ["posts/1", topic]), 1.0)
    assert isinstance(refused, Refuse)
    found = refused.fault.code, refused.fault.reason, refused.fault.field
    assert found == ("INVALID_ARGUMENT", "INVALID_TARGET", "topics[1]")
    assert mistaken.topics is None
    resuming = session(said_hello=False)
    assert reason(resuming.receive(Resume(1, "s", "t", 0, [(topic, 0)], "", ""), 1.0)) == "INVALID_TARGET"


def test_topics_are_bounded_over_all_frames() -> None:
    eager = session()
    first, more = Subscribe(1, ["messages/1", "users/alice"]), Subscribe(2, ["messages/2", "messages/3"])
    assert eager.receive(first, 0.0) == (first,)
    assert reason(eager.receive(more, 0.0)) == "TOO_MANY_TOPICS"
    assert eager.topics == {"messages/1", "users/alice"}
    again = Subscribe(3, ["messages/1", "messages/3"])
    assert eager.receive(again, 0.0) == (again,)


def test_unsubscribed_names_only_subscribed_topics() -> None:
    leaving = session()
    leaving.receive(Subscribe(1, ["messages/1", "messages/2"]), 0.0)
    assert leaving.receive(Unsubscribe(2, ["messages/2", "messages/9"]), 0.0) == (Unsubscribe(2, ["messages/2"]),)
    assert leaving.topics == {"messages/1"}


def test_a_client_that_does_not_read_is_closed_with_4001_unless_it_catches_up() -> None:
    slow = session(limits=LIMITS.model_copy(update={"slow_timeout": 5.0}))
    slow.push_blocked(1.0)
    slow.push_blocked(3.0)
    assert slow.due == 6.0
    slow.pushes_flushed()
    assert slow.tick(6.0) == ()
    slow.push_blocked(7.0)
    assert code(slow.tick(12.0)) == CloseCode.SLOW_CONSUMER


def test_a_draining_session_waits_for_its_calls_until_the_deadline() -> None:
    going, busy = session(), session()
    busy.receive(call(), 0.0)
    for each in (going, busy):
        assert each.drain(0.3, 1.0, 5.0) == (Goaway(0.3, 5.0),)
    assert code(going.tick(1.0)) == CloseCode.DRAIN
    assert busy.tick(1.0) == ()
    assert code(busy.tick(5.0)) == CloseCode.DRAIN


def test_a_fenced_session_is_closed_with_4504() -> None:
    assert code(session().fenced()) == CloseCode.REPLACED
