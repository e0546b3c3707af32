"""Pushes that no subscription has: they are counted, and observers hear them."""

from __future__ import annotations

from plaudit_client import effects as fx
from plaudit_client.values import OtherPush
from tests.unit.client.protocol_driver import WELCOME, ProtocolDriver


def ready() -> ProtocolDriver:
    driver = ProtocolDriver().start().open()
    driver.receive("welcome", id=1, **WELCOME)
    driver.effects += driver.protocol.subscribe(["users/alice"])
    driver.take(fx.Send)
    return driver


def test_a_message_is_counted_as_a_durable_push() -> None:
    driver = ready()
    driver.receive("new_message", topic="users/alice", seq=1, message_id="m1")
    own = {"topic": "users/alice", "target": "messages/1", "added": "👍"}
    driver.receive("own_reaction_update", **own, version="5", seq=2)
    driver.receive("pong", id=3, seq="2", resume_token="t2")
    assert driver.take(fx.CloseSocket) == []


def test_a_missing_message_closes_the_socket_so_that_the_session_is_resumed() -> None:
    driver = ready()
    driver.receive("new_message", topic="users/alice", seq=2, message_id="m2")
    assert [effect.code for effect in driver.take(fx.CloseSocket)] == [4000]


def test_a_push_of_a_subscribed_topic_is_delivered_and_one_of_another_is_not() -> None:
    driver = ready()
    driver.receive("receipt", topic="users/alice", status="read")
    driver.receive("receipt", topic="users/bob", status="read")
    [delivered] = driver.take(fx.Deliver)
    assert isinstance(delivered.update, OtherPush)
    assert (delivered.update.type, delivered.update.fields["status"]) == ("receipt", "read")


def test_an_answer_without_a_topic_is_no_push() -> None:
    driver = ready()
    driver.receive("receipt", status="sent", topic="")
    assert driver.take(fx.Deliver) == []


def test_durable_pushes_are_acknowledged_together_and_others_are_not() -> None:
    driver = ready()
    driver.receive("receipt", topic="users/alice", status="read")
    assert driver.wait(0.5).sent("ack") == []
    for seq in (1, 2, 3):
        driver.receive("new_message", topic="users/alice", seq=seq, message_id=f"m{seq}")
    assert [frame["seq"] for frame in driver.wait(0.5).sent("ack")] == [3]
    driver.receive("new_message", topic="users/alice", seq=4, message_id="m4")
    assert [frame["seq"] for frame in driver.wait(0.5).sent("ack")] == [4]
