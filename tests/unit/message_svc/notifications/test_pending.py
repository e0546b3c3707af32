"""Messages that wait for acknowledgements, and the positions that they hold."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from message_svc.notifications.pending import HeldPositions, PendingAcks, Wait

SECONDS = 8.0
KEY = ("acme", "bob")


def wait(seq: int, conversation_id: str = "conv_1", user: str = "bob") -> Wait:
    return Wait("acme", user, conversation_id, seq, position=seq)


def test_a_wait_ends_once_and_at_most_a_step_late() -> None:
    pending = PendingAcks(100.0, SECONDS)
    pending.add(wait(1), 108.0)
    pending.add(wait(2), 108.4)
    assert pending.expire(107.9) == []
    assert pending.expire(108.4 + pending.step) == [wait(1), wait(2)]
    assert (pending.expire(200.0), len(pending)) == ([], 0)


def test_the_waits_of_a_user_end_each_at_its_own_time() -> None:
    pending = PendingAcks(0.0, SECONDS)
    for seq, due in ((1, 8.0), (2, 12.0)):
        pending.add(wait(seq), due)
    assert pending.expire(9.0) == [wait(1)]
    assert pending.expire(11.9) == []
    assert pending.expire(13.0) == [wait(2)]


def test_an_earlier_deadline_that_is_added_later_ends_at_its_time() -> None:
    pending = PendingAcks(0.0, SECONDS)
    pending.add(wait(5), 8.0)
    pending.add(wait(3, "conv_2"), 1.0)
    assert pending.expire(2.0) == [wait(3, "conv_2")]


def test_an_acknowledgement_ends_what_is_before_it_in_its_conversation_only() -> None:
    pending = PendingAcks(0.0, SECONDS)
    others = [wait(1, "conv_2"), wait(1, user="carol")]
    for one in (wait(1), wait(2), wait(3), *others):
        pending.add(one, 8.0)
    assert pending.acknowledge(KEY, "conv_1", 2) == [wait(1), wait(2)]
    assert pending.acknowledge(KEY, "conv_1", 2) == []
    assert pending.acknowledge(("other", "bob"), "conv_1", 9) == []
    assert set(pending.expire(9.0)) == {wait(3), *others}


def test_a_wait_that_is_added_again_is_the_same_one() -> None:
    pending = PendingAcks(0.0, SECONDS)
    assert pending.add(wait(1), 8.0)
    assert not pending.add(wait(1), 3.0)
    assert len(pending) == 1
    assert pending.expire(4.0) == []


class Step(NamedTuple):
    user: int
    conversation: int
    seconds: float
    acknowledges: bool


STEPS = st.lists(st.builds(Step, st.integers(0, 2), st.integers(0, 2), st.floats(0, 3), st.booleans()), max_size=80)


@given(STEPS)
def test_every_wait_ends_by_an_acknowledgement_or_by_its_time(steps: list[Step]) -> None:
    pending = PendingAcks(0.0, SECONDS)
    dues: dict[Wait, float] = {}
    now = 0.0
    for number, step in enumerate(steps, 1):
        now += step.seconds
        ended = set(pending.expire(now))
        assert all(dues.pop(one) <= now for one in ended)
        assert all(due > now - pending.step for due in dues.values())
        user, conversation_id = f"user-{step.user}", f"conv_{step.conversation}"
        if step.acknowledges:
            acknowledged = pending.acknowledge(("acme", user), conversation_id, number)
            expected = {one for one in dues if (one.user, one.conversation_id) == (user, conversation_id)}
            assert set(acknowledged) == expected
            for one in acknowledged:
                del dues[one]
        else:
            one = wait(number, conversation_id, user)
            pending.add(one, now + SECONDS)
            dues[one] = now + SECONDS
        assert len(pending) == len(dues)
    assert set(pending.expire(now + SECONDS + 1)) == set(dues)


def test_the_oldest_held_position_limits_what_is_finished() -> None:
    held = HeldPositions()
    assert held.finished(7) == 7
    for position in (3, 3, 5):
        held.hold(position)
    assert held.finished(7) == 2
    held.release(5)
    held.release(3)
    assert held.finished(7) == 2
    held.release(3)
    assert held.finished(7) == 7
    held.hold(9)  # of an entry that is read just now
    assert held.finished(7) == 7
