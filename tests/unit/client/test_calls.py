"""The client's calls: sent, sent again, given up; whatever happens, each ends exactly once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit_client import PlauditError
from plaudit_client import effects as fx
from tests.unit.client.protocol_driver import ProtocolDriver

LIMITED = {"code": "RESOURCE_EXHAUSTED", "reason": "RATE_LIMITED", "message": "slow down", "retry_after_ms": 350}
UNKNOWN = {"code": "UNAVAILABLE", "reason": "OUTCOME_UNKNOWN", "message": "?", "retry_after_ms": 0}


def test_a_call_is_sent_as_a_flat_object_and_its_ack_answers_it() -> None:
    driver = ProtocolDriver().ready()
    asked = driver.call(target="messages/42", emoji="👍", op_id="a")
    assert driver.sent() == [
        {"type": "toggle_reaction", "id": asked, "target": "messages/42", "emoji": "👍", "op_id": "a"}
    ]
    [answer] = driver.receive("ack", id=asked, on=True, version="18").take(fx.Answered)
    assert answer.id == asked
    assert answer.fields["version"] == "18"


def test_a_second_answer_and_an_answer_without_a_call_are_ignored() -> None:
    driver = ProtocolDriver().ready()
    asked = driver.call(op_id="a")
    driver.receive("ack", id=asked).receive("ack", id=asked).receive("error", id=asked, **LIMITED).receive(
        "ack", id=999
    )
    assert len(driver.take(fx.Answered)) == 1
    assert driver.take(fx.Failed) == []


def test_calls_above_the_limit_of_the_server_are_sent_later_in_order() -> None:
    driver = ProtocolDriver().ready()
    ids = [driver.call(op_id=str(n)) for n in range(6)]
    assert [frame["id"] for frame in driver.sent()] == ids[:4]
    assert [frame["id"] for frame in driver.receive("ack", id=ids[2]).sent()] == [ids[4]]
    assert [frame["id"] for frame in driver.receive("error", id=ids[0], **LIMITED).sent()] == [ids[5]]


def test_a_call_above_the_limit_of_the_client_is_refused_immediately() -> None:
    driver = ProtocolDriver(max_calls=3).ready()
    first = driver.call(op_id="a")
    driver.call(op_id="b")
    driver.call(op_id="c")
    with pytest.raises(PlauditError, match="TOO_MANY_CALLS"):
        driver.call(op_id="d")
    driver.receive("ack", id=first)
    driver.call(op_id="d")


def test_unanswered_calls_are_sent_again_on_the_next_socket_unchanged_and_in_order() -> None:
    driver = ProtocolDriver().ready()
    ids = [driver.call(op_id=str(n)) for n in range(6)]
    first = driver.sent()
    driver.receive("ack", id=ids[1]).sent()
    driver.lose().again()
    fifth = {"type": "toggle_reaction", "id": ids[4], "op_id": "4"}
    assert driver.sent("toggle_reaction") == [first[0], *first[2:4], fifth]


def test_a_call_that_must_not_be_repeated_fails_with_an_unknown_outcome_when_the_socket_is_lost() -> None:
    driver = ProtocolDriver().ready()
    asked = driver.call(repeat=False)
    assert len(driver.sent()) == 1
    [failed] = driver.lose().take(fx.Failed)
    assert (failed.id, failed.error.code, failed.error.reason) == (asked, "UNAVAILABLE", "OUTCOME_UNKNOWN")
    assert [frame["type"] for frame in driver.again().sent()] == ["resume"]


def test_a_call_made_without_a_socket_waits_for_one_even_if_it_must_not_be_repeated() -> None:
    driver = ProtocolDriver().ready().lose()
    asked = driver.call(repeat=False)
    assert [frame["id"] for frame in driver.again().sent("toggle_reaction")] == [asked]


def test_a_call_without_an_answer_fails_at_its_deadline_as_unknown() -> None:
    driver = ProtocolDriver().ready()
    asked = driver.call(timeout=2, op_id="a")
    assert driver.run_until(fx.Failed) == 2
    driver.receive("ack", id=asked)
    assert driver.take(fx.Answered) == []


def test_the_error_at_the_deadline_depends_on_whether_the_call_was_sent() -> None:
    driver = ProtocolDriver().ready()
    driver.call(timeout=2, op_id="a")
    [sent] = driver.wait(3).take(fx.Failed)
    driver.lose()
    driver.call(timeout=0.05, op_id="b")
    [unsent] = driver.wait(0.06).take(fx.Failed)
    assert (sent.error.code, sent.error.reason) == ("DEADLINE_EXCEEDED", "OUTCOME_UNKNOWN")
    assert (unsent.error.code, unsent.error.reason) == ("DEADLINE_EXCEEDED", "NOT_SENT")


def test_a_rate_limit_fails_the_call_with_the_time_to_wait() -> None:
    driver = ProtocolDriver().ready()
    [failed] = driver.receive("error", id=driver.call(op_id="a"), **LIMITED).take(fx.Failed)
    assert (failed.error.reason, failed.error.retry_after) == ("RATE_LIMITED", 0.35)


def test_a_call_is_sent_again_after_the_retry_delay_of_the_rate_limit() -> None:
    driver = ProtocolDriver().ready()
    asked = driver.call(op_id="a", wait_for_rate_limit=True)
    driver.sent()
    driver.receive("error", id=asked, **LIMITED)
    assert driver.take(fx.Failed) == []
    assert driver.run_until(fx.Send) == pytest.approx(0.35)
    assert driver.receive("ack", id=asked).take(fx.Answered)


def test_a_call_fails_immediately_if_the_retry_delay_ends_after_its_deadline() -> None:
    driver = ProtocolDriver().ready()
    asked = driver.call(timeout=0.3, op_id="a", wait_for_rate_limit=True)
    [failed] = driver.receive("error", id=asked, **LIMITED).take(fx.Failed)
    assert failed.error.reason == "RATE_LIMITED"


def test_a_call_of_unknown_outcome_is_sent_again_with_the_same_frame_until_the_deadline() -> None:
    driver = ProtocolDriver().ready()
    asked = driver.call(timeout=1, op_id="a")
    [first] = driver.sent()
    frames = []
    while not (failed := driver.take(fx.Failed)):
        driver.receive("error", id=asked, **UNKNOWN)
        due = driver.protocol.wakeup()
        assert due is not None
        driver.wait(max(0.0, due - driver.now))
        frames += driver.sent()
    assert 3 <= len(frames) <= 6
    assert all(frame == first for frame in frames)
    assert failed[0].error.reason == "OUTCOME_UNKNOWN"


def test_an_unknown_outcome_of_a_call_that_must_not_be_repeated_is_passed_on() -> None:
    driver = ProtocolDriver().ready()
    assert driver.receive("error", id=driver.call(repeat=False), **UNKNOWN).take(fx.Failed)


def test_a_parked_call_survives_a_lost_socket() -> None:
    driver = ProtocolDriver().ready()
    asked = driver.call(op_id="a", wait_for_rate_limit=True)
    driver.receive("error", id=asked, **LIMITED).lose().again().sent()
    driver.wait(1)
    assert [frame["id"] for frame in driver.sent()] == [asked]


def test_a_cancelled_call_frees_its_slot() -> None:
    driver = ProtocolDriver().ready()
    ids = [driver.call(op_id=str(n)) for n in range(5)]
    driver.sent()
    driver.effects += driver.protocol.forget(ids[0])
    assert [frame["id"] for frame in driver.sent()] == [ids[4]]
    assert driver.receive("ack", id=ids[0]).take(fx.Answered) == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"emoji": "\ud800"}, "NOT_JSON"),
        ({"emoji": float("nan")}, "NOT_JSON"),
        ({"emoji": object()}, "NOT_JSON"),
        ({"emoji": "x" * 70_000}, "FRAME_TOO_LARGE"),
        ({"topic": "messages/1"}, "RESERVED_FIELD"),
    ],
)
def test_an_invalid_frame_is_refused_before_it_is_sent(fields: dict[str, Any], reason: str) -> None:
    driver = ProtocolDriver().ready()
    with pytest.raises(PlauditError, match=reason):
        driver.call(**fields)
    assert driver.sent() == []


def test_answered_calls_leave_no_timers() -> None:
    driver = ProtocolDriver().ready()
    for n in range(10_000):
        driver.receive("ack", id=driver.call(timeout=1000, op_id=str(n)))
    assert driver.protocol.calls.timers < 100


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("call"), st.booleans()),
            st.tuples(st.just("ack"), st.integers(0, 20)),
            st.tuples(st.just("limited"), st.integers(0, 20)),
            st.tuples(st.just("unknown"), st.integers(0, 20)),
            st.tuples(st.just("forget"), st.integers(0, 20)),
            st.tuples(st.just("lose"), st.just(0)),
            st.tuples(st.just("wait"), st.floats(0, 3)),
        ),
        max_size=60,
    )
)
def test_every_call_ends_exactly_once(steps: list[tuple[str, float]]) -> None:
    driver = ProtocolDriver(max_calls=1000).ready()
    ids: list[int] = []
    forgotten: set[int] = set()
    for step, value in steps:
        chosen = ids[int(value) % len(ids)] if ids else 0
        match step:
            case "call":
                ids.append(driver.call(repeat=bool(value), wait_for_rate_limit=bool(value), op_id="a"))
            case "ack":
                driver.receive("ack", id=chosen)
            case "limited":
                driver.receive("error", id=chosen, **LIMITED)
            case "unknown":
                driver.receive("error", id=chosen, **UNKNOWN)
            case "forget":
                driver.effects += driver.protocol.forget(chosen)
                forgotten.add(chosen)
            case "lose":
                driver.lose().again()
            case "wait":
                driver.wait(value)
    driver.wait(11)
    ended = [effect.id for effect in driver.effects if isinstance(effect, fx.Answered | fx.Failed)]
    assert len(ended) == len(set(ended))
    assert set(ids) - forgotten <= set(ended) <= set(ids)
    assert len(driver.protocol.calls) == 0
