"""The checker on histories written by hand: each rule finds its violation, and none in a correct history."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.checks.checker import check, longest_gap
from tests.faults.checks.final_state import FinalState
from tests.faults.checks.history import Event, HistoryTooLong, Recorder, line, read

TARGET, POST = ("t", "messages/1"), ("t", "posts/1")


class HistoryBuilder:
    """Builds a history; every event is a second later than the one before."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.state = FinalState()
        self._sent: dict[str, int] = {}

    def add(self, kind: Any, what: str, **more: Any) -> HistoryBuilder:
        self.events.append(Event(float(len(self.events) + 1), "test", kind, what, **more))
        return self

    def ask(
        self, op_id: str, user: str = "ann", emoji: str = "A", action: str = "toggle", key: Any = TARGET
    ) -> HistoryBuilder:
        self._sent[op_id] = self._sent.get(op_id, 0) + 1
        args = {"tenant": key[0], "target": key[1], "user": user, "emoji": emoji, "action": action}
        return self.add("invoke", "change", op_id=op_id, args=args, position=self._sent[op_id])

    def ok(self, op_id: str, on: bool, version: int, attempt: int = 0) -> HistoryBuilder:
        result = {"on": on, "version": version}
        return self.add("ok", "change", op_id=op_id, result=result, position=attempt or self._sent[op_id])

    def end(self, op_id: str, kind: str) -> HistoryBuilder:
        return self.add(kind, "change", op_id=op_id, position=self._sent[op_id])

    def made(self, op_id: str, on: bool, version: int, **more: Any) -> HistoryBuilder:
        return self.ask(op_id, **more).ok(op_id, on, version)

    def records(self, version: int, key: Any = TARGET, **held: str) -> HistoryBuilder:
        """The reactions of users at the end: emoji, one letter each."""
        counts: dict[str, int] = {}
        for user, emojis in held.items():
            self.state.own[(*key, user)] = tuple(emojis)
            for emoji in emojis:
                counts[emoji] = counts.get(emoji, 0) + 1
        self.state.tallies[key] = (version, counts)
        self.state.reactors[key] = frozenset((user, emoji) for user, emojis in held.items() for emoji in emojis)
        return self

    def counted(self, version: int, source: str = "counter", key: Any = TARGET, **counts: int) -> HistoryBuilder:
        self.state.counts.setdefault(source, {})[key] = (version, counts)
        return self

    def welcome(self, connection: str, user: str = "ann", device: str = "", **more: Any) -> HistoryBuilder:
        args = {"tenant": "t", "user": user, "device": device, "gateway": "g1"}
        result = {"verdict": more.pop("verdict", "")}
        return self.add("session", "welcome", connection=connection, args=args | more, result=result)

    def push(self, connection: str, version: int, topic: str = TARGET[1], **counts: int) -> HistoryBuilder:
        reactions = [{"emoji": emoji, "count": str(count)} for emoji, count in counts.items()]
        frame = {"topic": topic, "version": str(version), "reactions": reactions}
        return self.add("push", "reaction_update", connection=connection, args={"tenant": "t"}, result=frame)

    def own_push(
        self, connection: str, version: int, added: str = "", removed: str = "", **more: Any
    ) -> HistoryBuilder:
        frame = {"topic": "users/ann", "target": TARGET[1], "version": version, "added": added, "removed": removed}
        frame |= more
        return self.add("push", "own_reaction_update", connection=connection, args={"tenant": "t"}, result=frame)

    def closed(self, connection: str, code: int) -> HistoryBuilder:
        return self.add("session", "closed", connection=connection, result={"code": code})

    @property
    def rules(self) -> set[str]:
        return set(check(self.events, self.state).rules)


def test_a_correct_history_passes() -> None:
    story = (
        HistoryBuilder()
        .welcome("c1")
        .made("1", True, 10)
        .made("2", True, 11, user="bob")
        .push("c1", 11, A=2)
        .ask("3", emoji="B")
        .end("3", "unknown")
        .ask("3", emoji="B")
        .ok("3", True, 12)
        .made("4", False, 12, action="remove", emoji="C")
        .made("5", False, 14, action="clear", emoji="")
        .push("c1", 13, A=1, B=1)
        .push("c1", 14, A=1)
        .records(14, ann="", bob="A")
        .counted(14, A=1)
        .counted(-1, "redis", A=1)
    )
    verdict = check(story.events, story.state)
    assert verdict.violations == []
    assert verdict.seen["acked"] == 5
    assert longest_gap(story.events) == 5.0


def test_of_several_operations_at_one_version_the_one_that_explains_the_others_changed_it() -> None:
    story = HistoryBuilder().made("1", True, 10).made("2", True, 11, emoji="B").ask("3", action="remove")
    story.made("4", False, 13, action="clear", emoji="").ok("3", False, 13)
    assert not story.records(13).rules
    assert story.records(13, ann="B").rules == {"I1"}


def test_an_answered_change_that_is_gone_is_lost() -> None:
    assert HistoryBuilder().made("1", True, 10).records(0).rules == {"I1"}
    assert HistoryBuilder().made("1", True, 10).made("2", True, 11, user="bob").records(11, ann="A").rules == {"I1"}


def test_a_refused_change_that_was_made_is_detected() -> None:
    story = HistoryBuilder().made("1", True, 10).ask("2", user="bob").end("2", "fail")
    assert not HistoryBuilder().made("1", True, 10).ask("2", user="bob").end("2", "fail").records(10, ann="A").rules
    assert story.records(11, ann="A", bob="A").rules == {"I1", "I3"}


@pytest.mark.parametrize("held", ["", "A"])
def test_a_change_of_unknown_outcome_may_be_made_or_not(held: str) -> None:
    story = HistoryBuilder().made("0", True, 9, user="bob").ask("1").end("1", "unknown")
    assert not story.records(10 if held else 9, ann=held, bob="A").rules


def test_a_change_of_unknown_outcome_is_not_made_twice() -> None:
    story = HistoryBuilder().made("1", True, 10).ask("2").end("2", "unknown")
    assert story.records(11, ann="AB").rules == {"I1"}


def test_a_retry_that_gets_another_answer_is_detected() -> None:
    assert HistoryBuilder().made("1", True, 10).ask("1").ok("1", False, 11).records(11, ann="").rules >= {"I3"}


def test_a_toggle_that_took_effect_twice_with_one_answer_is_found() -> None:
    story = HistoryBuilder().ask("1").end("1", "unknown").ask("1").ok("1", False, 11).records(11, ann="")
    assert "I3" in story.rules


def test_answers_that_cannot_follow_from_each_other_are_detected() -> None:
    assert "I3" in HistoryBuilder().made("1", True, 10).made("2", True, 11).records(11, ann="A").rules
    assert (
        "I3" in HistoryBuilder().made("1", True, 10).made("2", True, 10, user="bob").records(10, ann="A", bob="A").rules
    )


def test_a_version_below_an_answered_one_is_detected() -> None:
    story = HistoryBuilder().made("1", True, 10, user="bob").made("2", True, 9).records(10, ann="A", bob="A")
    assert story.rules == {"I3"}


def test_changes_requested_at_the_same_time_may_be_made_in_any_order() -> None:
    story = HistoryBuilder().ask("1", user="bob").ask("2").ok("1", True, 10).ok("2", True, 9)
    assert not story.records(10, ann="A", bob="A").rules


def test_a_count_different_from_the_number_of_records_is_drift() -> None:
    right = HistoryBuilder().made("1", True, 10).records(10, ann="A")
    assert right.counted(10, A=2).rules == {"I2"}
    assert right.counted(9, A=1).rules == {"I2"}
    assert right.counted(10, A=1).counted(-1, "redis").rules == {"I2"}
    assert right.counted(-1, "redis", A=1, B=-1).rules == {"I2"}


def test_a_push_of_counts_that_never_existed_is_drift() -> None:
    story = HistoryBuilder().welcome("c1").made("1", True, 10).push("c1", 10, A=2).records(10, ann="A")
    assert story.rules == {"I2"}
    assert HistoryBuilder().welcome("c1").made("1", True, 10).push("c1", 12, A=1).records(10, ann="A").rules == {"I1"}


def test_a_read_older_than_the_requested_version_is_detected() -> None:
    def story(version: int) -> HistoryBuilder:
        made = HistoryBuilder().made("1", True, 10)
        made.add("invoke", "counts", op_id="r", args={"tenant": "t", "min_versions": {"messages/1": 10}})
        shown = {"messages/1": {"version": version, "counts": {"A": 1} if version else {}}}
        return made.add("ok", "counts", op_id="r", result={"targets": shown}).records(10, ann="A")

    assert not story(10).rules
    assert story(0).rules == {"I2"}


@pytest.mark.parametrize(("held", "wrong"), [(["B"], False), ([], True), (["A", "B"], True), (["A"], True)])
def test_a_switch_shows_neither_none_nor_both(held: list[str], wrong: bool) -> None:
    story = HistoryBuilder().made("1", True, 10, key=POST).made("2", True, 11, emoji="B", key=POST)
    story.add("invoke", "own", op_id="r", args={"tenant": "t", "user": "ann"})
    story.add("ok", "own", op_id="r", result={"targets": {"posts/1": {"version": 11, "emojis": held}}})
    assert story.records(11, POST, ann="B").rules == ({"I4"} if wrong else set())


def test_a_switch_made_of_two_changes_is_detected() -> None:
    def story() -> HistoryBuilder:
        history = HistoryBuilder().welcome("c1").made("1", True, 10, key=POST).made("2", True, 12, emoji="B", key=POST)
        return history.records(12, POST, ann="B")

    assert not story().own_push("c1", 12, "B", "A", target=POST[1]).push("c1", 12, POST[1], B=1).rules
    assert story().own_push("c1", 11, "", "A", target=POST[1]).rules == {"I4"}
    assert story().push("c1", 11, POST[1]).rules == {"I4"}
    assert "I4" in HistoryBuilder().made("1", True, 10, key=POST).records(10, POST, ann="AB").rules


def test_a_resumed_session_without_the_pushes_in_between_has_a_gap() -> None:
    def story(seq: int, verdict: str) -> HistoryBuilder:
        history = HistoryBuilder().welcome("c1").made("1", True, 10).own_push("c1", 10, "A", seq=1).closed("c1", 1006)
        history.welcome("c2", before="c1", verdict=verdict, seq=1).made("2", False, 11).made("3", True, 12)
        return history.own_push("c2", 12, "A", seq=seq).records(12, ann="A")

    assert story(3, "complete").rules == {"I7"}
    assert not story(3, "partial").rules
    assert not story(2, "complete").rules


def test_a_user_without_a_push_of_an_own_change_has_a_gap() -> None:
    def story(*shown: int) -> HistoryBuilder:
        history = HistoryBuilder().welcome("c1")
        history.add("session", "subscribed", connection="c1", args={"topics": ["users/ann"]})
        history.made("1", True, 10).made("2", False, 11)
        for version in shown:
            history.own_push("c1", version, "A" if version == 10 else "", "A" if version == 11 else "")
        return history.records(11, ann="")

    assert not story(10, 11).rules
    assert story(10).rules == {"I7"}


@pytest.mark.parametrize(("seq", "wrong"), [(2, True), (3, False)])
def test_a_missing_seq_is_a_detected_gap(seq: int, wrong: bool) -> None:
    history = HistoryBuilder().welcome("c1")
    history.add("session", "subscribed", connection="c1", args={"topics": ["users/ann"]})
    history.made("1", True, 10).own_push("c1", 10, "A", seq=1)
    history.made("2", True, 11, emoji="B").made("3", False, 12).own_push("c1", 12, "", "A", seq=seq)
    assert history.records(12, ann="B").rules == ({"I7"} if wrong else set())


@pytest.mark.parametrize("finds", ["nothing", "a first number that is not 1", "a pong with a higher seq"])
def test_a_gap_that_the_client_detects_is_no_violation(finds: str) -> None:
    history = HistoryBuilder().welcome("c1", verdict="reset", seq=24)
    history.add("session", "subscribed", connection="c1", args={"topics": ["users/ann"]})
    history.made("1", True, 10).made("2", True, 11, emoji="B")
    if finds == "a pong with a higher seq":
        history.add("mark", f"gap: {finds}", connection="c1")
    else:
        history.own_push("c1", 11, "B", seq=1 if finds == "nothing" else 3)
    history.closed("c1", 1006).records(11, ann="AB")
    assert history.rules == ({"I7"} if finds == "nothing" else set())


def test_an_older_version_on_a_socket_is_detected() -> None:
    story = HistoryBuilder().welcome("c1").made("1", True, 10).made("2", True, 11, user="bob")
    assert story.push("c1", 11, A=2).push("c1", 10, A=1).records(11, ann="A", bob="A").rules == {"I8"}


def test_a_device_with_two_sessions_is_detected() -> None:
    def story() -> HistoryBuilder:
        return HistoryBuilder().welcome("c1", device="d").welcome("c2", device="d", gateway="g2")

    assert not story().closed("c1", 4504).rules
    assert story().rules == {"I9"}
    assert story().closed("c1", 1001).rules == {"I9"}
    late = story().add("mark", "a").add("mark", "b").push("c1", 0, "messages/none").closed("c1", 4504)
    assert late.rules == {"I9"}
    assert not HistoryBuilder().welcome("c1", device="d").closed("c1", 1000).welcome("c2", device="d").rules


def test_a_history_can_be_read_again_and_is_bounded() -> None:
    story = HistoryBuilder().made("1", True, 10)
    assert read(map(line, story.events)) == story.events
    recorder = Recorder(limit=1)
    recorder.write("test", "mark", "one")
    with pytest.raises(HistoryTooLong):
        recorder.write("test", "mark", "two")
