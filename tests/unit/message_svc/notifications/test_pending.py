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
    pending.add(wait(2), 108.6)
    assert pending.expire(107.9) == []
    assert pending.expire(108.6 + pending.step) == [wait(1), wait(2)]
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
        pending.add(one, float(one.seq))
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


def test_messages_of_one_moment_are_one_wait_that_ends_with_the_last_and_holds_the_first_position() -> None:
    pending = PendingAcks(0.0, SECONDS)
    assert pending.add(wait(1), 8.0)
    assert not pending.add(wait(2), 8.1)
    assert not pending.add(wait(3), 8.0 + pending.step - 0.01)
    assert pending.add(wait(4), 9.0)
    assert len(pending) == 2
    assert pending.acknowledge(KEY, "conv_1", 2) == []
    assert pending.expire(8.4) == []
    assert pending.expire(8.5) == [wait(3)._replace(position=1)]


def test_a_mention_is_merged_with_nothing() -> None:
    pending = PendingAcks(0.0, SECONDS)
    mention = wait(2)._replace(is_mention=True)
    for one in (wait(1), mention, wait(3), wait(4)._replace(is_connected=False)):
        assert pending.add(one, 8.0)
    assert len(pending.expire(9.0)) == 4


@given(STEPS)
def test_every_message_ends_by_an_acknowledgement_or_by_its_time(steps: list[Step]) -> None:
    pending = PendingAcks(0.0, SECONDS)
    dues: dict[tuple[str, str], dict[int, float]] = {}
    now = 0.0

    def expire() -> None:
        for one in pending.expire(now):
            of_conversation = dues[one.user, one.conversation_id]
            for seq in [seq for seq in of_conversation if seq <= one.seq]:
                assert of_conversation.pop(seq) <= now
        # A wait ends with its last message, at most a step late, and begins at most a step before that.
        assert all(due > now - 2 * pending.step for each in dues.values() for due in each.values())

    for number, step in enumerate(steps, 1):
        now += step.seconds
        expire()
        user, conversation_id = f"user-{step.user}", f"conv_{step.conversation}"
        of_conversation = dues.setdefault((user, conversation_id), {})
        if step.acknowledges:
            pending.acknowledge(("acme", user), conversation_id, number)
            of_conversation.clear()
        else:
            pending.add(wait(number, conversation_id, user), now + SECONDS)
            of_conversation[number] = now + SECONDS
    now += SECONDS + 1
    expire()
    assert not any(dues.values())
    assert len(pending) == 0


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
