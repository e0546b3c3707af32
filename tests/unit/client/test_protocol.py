"""The client's protocol: beginning, ending, and everything a socket can do in between."""

import pytest

from plaudit_client import PlauditError
from plaudit_client import effects as fx
from tests.unit.client.protocol_driver import ProtocolDriver


def test_hello_is_the_first_frame_and_the_welcome_opens_the_session() -> None:
    driver = ProtocolDriver().start()
    assert driver.take(fx.Dial)
    assert driver.open().sent() == [{"type": "hello", "id": 1, "device": "d", "client": "test"}]
    [ready] = driver.welcome().take(fx.Ready)
    assert (ready.welcome.user, ready.welcome.calls_in_flight, ready.welcome.heartbeat) == ("alice", 4, 30.0)


def test_a_socket_without_a_welcome_is_closed_after_the_dial_timeout() -> None:
    driver = ProtocolDriver(dial_timeout=5).start().open()
    assert driver.run_until(fx.CloseSocket) == 5


@pytest.mark.parametrize(("attempt", "longest"), [(0, 0.1), (1, 0.2), (2, 0.4), (6, 6.4), (7, 10.0), (50, 10.0)])
def test_waits_between_attempts_double_up_to_the_ceiling(attempt: int, longest: float) -> None:
    driver = ProtocolDriver().start()
    for _ in range(attempt):
        driver.lose().run_until(fx.Dial)
    assert driver.lose().run_until(fx.Dial) == pytest.approx(longest, rel=1e-6)


def test_an_answer_resets_the_reconnect_delay_but_a_welcome_does_not() -> None:
    driver = ProtocolDriver().start()
    for _ in range(5):
        driver.open().welcome().lose().run_until(fx.Dial)
    assert driver.open().welcome().lose().run_until(fx.Dial) == pytest.approx(3.2)
    driver.open().welcome()
    driver.receive("ack", id=driver.call(), on=True).lose()
    assert driver.run_until(fx.Dial) == pytest.approx(0.1)


def test_a_ping_is_sent_every_heartbeat_and_its_pong_keeps_the_socket_open() -> None:
    driver = ProtocolDriver().ready()
    for _ in range(5):
        [ping] = driver.wait(30).sent()
        assert ping["type"] == "ping"
        driver.receive("pong", id=ping["id"], server_time_ms="1")
    assert driver.take(fx.CloseSocket) == []


def test_a_silent_socket_is_closed_after_two_heartbeats() -> None:
    driver = ProtocolDriver().ready()
    assert driver.run_until(fx.CloseSocket) == 60


def test_after_goaway_answers_arrive_and_the_session_moves_at_the_stated_time() -> None:
    driver = ProtocolDriver().ready()
    asked = driver.call(timeout=60, op_id="a")
    driver.receive("goaway", reconnect_after_ms=4000, deadline_ms=9000)
    driver.wait(3.9)
    assert driver.take(fx.CloseSocket) == []
    assert [answer.id for answer in driver.receive("ack", id=asked, on=True).take(fx.Answered)] == [asked]
    assert driver.run_until(fx.CloseSocket) == pytest.approx(0.1)
    assert driver.lose(1000).run_until(fx.Dial) == pytest.approx(0.1)


def test_a_socket_closed_before_the_goaway_delay_does_not_shorten_the_delay() -> None:
    driver = ProtocolDriver().ready().receive("goaway", reconnect_after_ms=4000, deadline_ms=9000)
    assert driver.wait(1).lose(4000).run_until(fx.Dial) == pytest.approx(3)


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012, 4000, 4001, 4002, 4499])
def test_codes_below_4500_lead_to_another_attempt(code: int) -> None:
    driver = ProtocolDriver().ready().lose(code)
    assert driver.run_until(fx.Dial) > 0


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (4500, ("UNAUTHENTICATED", "BAD_TOKEN")),
        (4501, ("PERMISSION_DENIED", "FORBIDDEN")),
        (4502, ("INVALID_ARGUMENT", "BAD_FRAME")),
        (4503, ("RESOURCE_EXHAUSTED", "LIMIT")),
        (4504, ("ABORTED", "REPLACED")),
        (4999, ("FAILED_PRECONDITION", "CLOSED_4999")),
    ],
)
def test_codes_from_4500_end_the_client_and_all_its_calls(code: int, error: tuple[str, str]) -> None:
    driver = ProtocolDriver().ready()
    asked = driver.call(op_id="a")
    driver.lose(code)
    [failed], [ended] = driver.take(fx.Failed), driver.take(fx.Ended)
    assert failed.id == asked
    assert ended.error is not None
    assert failed.error is ended.error
    assert (ended.error.code, ended.error.reason) == error
    assert driver.protocol.wakeup() is None
    with pytest.raises(PlauditError, match=error[1]):
        driver.call(op_id="b")
    with pytest.raises(PlauditError, match=error[1]):
        driver.subscribe("messages/1")


@pytest.mark.parametrize(("status", "ends"), [(400, True), (401, True), (403, True), (429, False), (503, False)])
def test_a_refused_handshake_ends_the_client_only_where_another_one_would_be_refused_too(
    status: int, ends: bool
) -> None:
    driver = ProtocolDriver().start().lose(status=status)
    assert bool(driver.take(fx.Ended)) is ends
    assert (driver.protocol.wakeup() is None) is ends


def test_a_refused_handshake_is_not_repeated_before_its_retry_delay() -> None:
    assert ProtocolDriver().start().lose(status=503, retry_after=7).run_until(fx.Dial) == 7


def test_a_permanently_refused_hello_ends_the_client() -> None:
    driver = ProtocolDriver().start().open()
    driver.receive("error", id=1, code="INVALID_ARGUMENT", reason="INVALID_REQUEST", message="no", field="device")
    [ended] = driver.take(fx.Ended)
    assert ended.error is not None
    assert ended.error.field == "device"


def test_a_hello_that_is_refused_temporarily_is_sent_again_after_the_retry_delay() -> None:
    driver = ProtocolDriver().start().open()
    driver.receive("error", id=1, code="UNAVAILABLE", reason="OVERLOADED", message="later", retry_after_ms=2500)
    assert driver.take(fx.CloseSocket)
    assert driver.lose(1000).run_until(fx.Dial) == 2.5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "{}",
        '{"type":"ack"}',
        '{"type":"ack","id":"x"}',
        '{"type":"error","id":3}',
        '{"type":"reaction_update","topic":"messages/1"}',
        '{"type":"goaway","reconnect_after_ms":"soon"}',
        "[" * 100_000,
    ],
)
def test_an_invalid_message_of_the_server_only_closes_the_socket(text: str) -> None:
    driver = ProtocolDriver().ready()
    asked = driver.call(op_id="a")
    [close] = driver.receive_text(text).take(fx.CloseSocket)
    assert close.code == 1007
    driver.lose(1007).again()
    assert [frame["id"] for frame in driver.sent("toggle_reaction")] == [asked, asked]


def test_frames_of_later_versions_are_ignored() -> None:
    driver = ProtocolDriver().ready().receive("confetti", topic="messages/1").receive("lag", merged=3)
    assert driver.effects == []


def test_messages_after_a_close_are_ignored() -> None:
    driver = ProtocolDriver().ready()
    asked = driver.call(op_id="a")
    driver.receive_text("garbage").receive("ack", id=asked, on=True)
    assert driver.take(fx.Answered) == []


def test_a_close_fails_unanswered_calls_and_ends_without_an_error() -> None:
    driver = ProtocolDriver().ready()
    driver.call(op_id="a")
    driver.effects = driver.protocol.close()
    [failed], [ended] = driver.take(fx.Failed), driver.take(fx.Ended)
    assert (failed.error.code, failed.error.reason) == ("CANCELLED", "CLOSED")
    assert ended.error is None
    assert [close.code for close in driver.take(fx.CloseSocket)] == [1000]
    assert driver.protocol.close() == []
    assert driver.wait(100).lose(1000).effects == []
