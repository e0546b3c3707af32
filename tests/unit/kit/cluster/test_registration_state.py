"""The reports of a node to the registry about its sessions and topics."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kit.cluster.registration_state import RegistrationState
from plaudit.session.v1 import session_registry_service_pb2 as pb


def told(state: RegistrationState, limit: int = 100) -> pb.AttachRequest:
    request = state.take(limit)
    assert request is not None
    return request


def grant(session_id: str, epoch: int) -> list[pb.Grant]:
    return [pb.Grant(session_id=session_id, epoch=epoch)]


def logged_in(state: RegistrationState, session_id: str = "s1", micros: int = 1_000) -> None:
    state.opened(session_id, "acme", "alice", "phone", micros)


def test_a_login_is_reported_once_and_without_an_epoch() -> None:
    state = RegistrationState()
    logged_in(state)
    request = told(state)
    assert [(one.session_id, one.tenant, one.user, one.device, one.epoch) for one in request.opened] == [
        ("s1", "acme", "alice", "phone", 0)
    ]
    assert state.take(100) is None


def test_sessions_that_began_and_ended_between_two_requests_are_never_reported() -> None:
    state = RegistrationState()
    logged_in(state)
    state.closed("s1")
    state.subscribe("acme", "messages/1")
    state.unsubscribe("acme", "messages/1")
    assert state.take(100) is None


def test_after_a_break_a_session_is_reported_with_its_granted_epoch() -> None:
    state = RegistrationState()
    logged_in(state)
    told(state)
    state.granted(grant("s1", 77))
    state.restart()
    assert told(state).opened[0].epoch == 77


def test_a_session_whose_grant_was_lost_is_reported_with_the_time_of_its_login() -> None:
    state = RegistrationState()
    logged_in(state, micros=5_000)
    told(state)
    state.restart()
    assert told(state).opened[0].epoch == 5_000


def test_a_login_that_was_never_reported_is_a_new_login_also_after_a_break() -> None:
    state = RegistrationState()
    logged_in(state)
    state.restart()
    assert told(state).opened[0].epoch == 0


def test_a_fenced_session_is_closed_once_and_not_reported_again() -> None:
    state = RegistrationState()
    logged_in(state)
    told(state)
    state.granted(grant("s1", 77))
    assert state.fenced(["s1"]) == ["s1"]
    assert state.fenced(["s1"]) == []
    state.closed("s1")
    assert state.take(100) is None
    state.restart()
    assert state.take(100) is None


def test_a_fence_of_an_earlier_session_of_the_same_id_does_not_close_the_new_one() -> None:
    state = RegistrationState()
    logged_in(state)
    told(state)
    state.granted(grant("s1", 77))
    logged_in(state, micros=2_000)  # it came back to this node
    assert state.fenced(["s1"]) == []
    told(state)
    assert state.fenced(["s1"]) == []
    state.granted(grant("s1", 99))
    assert state.fenced(["s1"]) == ["s1"]


def test_a_grant_of_an_earlier_session_does_not_make_the_new_one_fenceable() -> None:
    state = RegistrationState()
    logged_in(state)
    told(state)
    logged_in(state, micros=2_000)
    told(state)
    state.granted(grant("s1", 77))
    assert state.fenced(["s1"]) == []
    state.granted(grant("s1", 99))
    state.restart()
    assert told(state).opened[0].epoch == 99


def test_requests_are_bounded_and_report_the_whole_state_together() -> None:
    state = RegistrationState()
    for index in range(25):
        logged_in(state, f"s{index}")
        state.subscribe("acme", f"messages/{index}")
    requests = []
    while (request := state.take(10)) is not None:
        requests.append(request)
    assert [len(request.opened) for request in requests] == [10, 10, 5]
    assert {one.name for request in requests for one in request.wanted} == {f"messages/{i}" for i in range(25)}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["opened", "closed"]), st.sampled_from(["s1", "s2", "s3"])),
        st.tuples(st.sampled_from(["wanted", "unwanted"]), st.sampled_from(["messages/1", "messages/2"])),
        st.tuples(st.just("take"), st.integers(1, 3)),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=60,
)


def test_a_topic_that_is_subscribed_again_before_its_end_was_reported_is_reported_as_both() -> None:
    state = RegistrationState()
    state.subscribe("acme", "messages/1")
    state.take(10)
    state.unsubscribe("acme", "messages/1")
    state.subscribe("acme", "messages/1")
    request = state.take(10)
    assert request is not None
    assert [topic.name for topic in request.unwanted] == [topic.name for topic in request.wanted] == ["messages/1"]
    assert state.take(10) is None


@given(STEPS)
def test_all_own_updates_together_are_the_current_reactions(steps: list[tuple[str, object]]) -> None:
    state = RegistrationState()
    sessions, topics = set[str](), set[str]()
    told_sessions, told_topics = set[str](), set[str]()

    def hear(request: pb.AttachRequest | None) -> None:
        if request is not None:
            assert not set(request.closed) & {one.session_id for one in request.opened}
            told_sessions.difference_update(request.closed)
            told_sessions.update(one.session_id for one in request.opened)
            for topic in request.unwanted:
                told_topics.remove(topic.name)
            for topic in request.wanted:
                assert topic.name not in told_topics
                told_topics.add(topic.name)

    for step, value in steps:
        if step == "opened":
            logged_in(state, str(value))
            sessions.add(str(value))
        elif step == "closed":
            state.closed(str(value))
            sessions.discard(str(value))
        elif step == "wanted":
            state.subscribe("acme", str(value))
            topics.add(str(value))
        elif step == "unwanted":
            state.unsubscribe("acme", str(value))
            topics.discard(str(value))
        elif step == "take":
            assert isinstance(value, int)
            hear(state.take(value))
        else:
            state.restart()
            told_sessions.clear()
            told_topics.clear()
    while (request := state.take(2)) is not None:
        hear(request)
    assert (told_sessions, told_topics) == (sessions, topics)
