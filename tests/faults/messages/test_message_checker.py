"""The checker of messages on histories written by hand: each rule finds its violation, none in a correct history."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.checks.history import Event
from tests.faults.messages.checker import check_messages
from tests.faults.messages.stored import Notified, ReadState, StoredChange, StoredMessages

TALK = "conv_1"


class HistoryBuilder:
    """Builds a history of one conversation; every event is a second later than the one before."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.state = StoredMessages(changes={TALK: [StoredChange(1, "", "ann")]})
        self._seq = 0

    def add(self, kind: Any, what: str, **more: Any) -> HistoryBuilder:
        self.events.append(Event(float(len(self.events) + 1), "test", kind, what, **more))
        return self

    def ask(self, op_id: str, user: str = "ann", action: str = "send", subject: int = 0) -> HistoryBuilder:
        args = {"conversation": TALK, "user": user, "action": action, "content": op_id, "subject": subject}
        return self.add("invoke", "change", op_id=op_id, args=args)

    def ok(self, op_id: str, number: int) -> HistoryBuilder:
        return self.add("ok", "change", op_id=op_id, result={"number": number})

    def stored(self, op_id: str, user: str = "ann", **more: Any) -> HistoryBuilder:
        changes = self.state.changes[TALK]
        number = len(changes) + 1
        changes.append(StoredChange(number, "send", user, f"msg_{number}", op_id, op_id)._replace(**more))
        return self

    def sent(self, op_id: str, user: str = "ann") -> HistoryBuilder:
        number = len(self.state.changes[TALK]) + 1
        return self.ask(op_id, user).ok(op_id, number).stored(op_id, user)

    def session(self, connection: str, verdict: str = "", before: str = "") -> HistoryBuilder:
        args = {"tenant": "t", "user": "bob", "device": "d", "gateway": "g", "before": before, "seq": 0, "topics": []}
        what = "resumed" if verdict else "welcome"
        self.add("session", what, args=args, result={"verdict": verdict}, connection=connection)
        return self if verdict == "complete" else self.add("mark", "backlog_done", connection=connection)

    def closed(self, connection: str, code: int = 4000) -> HistoryBuilder:
        return self.add("session", "closed", result={"code": code}, connection=connection)

    def push(self, number: int, connection: str = "c1") -> HistoryBuilder:
        result: dict[str, Any] = {"conversation": TALK, "number": number, "seq": number}
        stored = next((one for one in self.state.changes[TALK] if one.number == number), StoredChange(0, "", ""))
        result |= {"message_id": stored.message_id, "sender_id": stored.user, "client_msg_id": stored.client_msg_id}
        return self.add("push", "new_message", result=result, connection=connection)

    def read(self, user: str, up_to: int, unread: int) -> HistoryBuilder:
        self.state.reads[user, TALK] = ReadState(up_to, unread)
        return self

    @property
    def found(self) -> list[str]:
        """The violations."""
        return [f"{one.rule} {one.what}" for one in check_messages(self.events, self.state).violations]


def correct() -> HistoryBuilder:
    made = HistoryBuilder().session("c1")
    made.sent("a").push(2).sent("b").push(3).ask("r", "bob", "read", 2).ok("r", 2)
    made.closed("c1").sent("c").session("c2", "complete", before="c1").push(4, "c2")
    return made.read("ann", 4, 0).read("bob", 2, 2)


def test_a_correct_history_has_no_violation() -> None:
    assert correct().found == []


def test_pushes_that_come_again_and_what_is_edited_during_a_backlog_are_no_violation() -> None:
    made = correct()
    made.sent("d").ask("e", action="edit", subject=2).ok("e", 6)
    made.state.changes[TALK].append(StoredChange(6, "edit", "ann", "msg_2", "a", "e"))
    made.sent("f").read("ann", 7, 0).read("bob", 2, 4)
    made.closed("c2")
    # The backlog has the messages 5 and 7; the edit comes after it.
    args = {"tenant": "t", "user": "bob", "device": "d", "gateway": "g"}
    made.add("session", "welcome", args=args, result={"verdict": ""}, connection="c3")
    made.push(5, "c3").push(7, "c3").add("mark", "backlog_done", connection="c3")
    made.add("push", "message_changed", result={"conversation": TALK, "number": 6, "seq": 3}, connection="c3")
    assert made.push(7, "c3").found == []


def test_what_comes_again_after_a_backlog_may_lack_what_the_backlog_had() -> None:
    made = correct().sent("d").sent("e").read("ann", 6, 0).read("bob", 2, 4).closed("c2")
    args = {"tenant": "t", "user": "bob", "device": "d", "gateway": "g"}
    made.add("session", "welcome", args=args, result={"verdict": ""}, connection="c3")
    made.push(5, "c3").add("mark", "backlog_done", connection="c3")
    assert made.push(2, "c3").push(4, "c3").push(6, "c3").found == []
    made.sent("f").sent("g").push(8, "c3").read("ann", 8, 0).read("bob", 2, 6)
    assert len(made.found) == 1


def test_a_missing_push_of_which_the_client_learns_is_no_violation() -> None:
    made = correct().sent("d").sent("e").push(6, "c2").read("ann", 6, 0).read("bob", 2, 4)
    assert len(made.found) == 1
    assert made.add("mark", "gap: a missing seq", connection="c2").found == []


def test_what_never_had_an_answer_may_be_stored_later() -> None:
    made = correct().ask("x").push(5, "c2").read("bob", 2, 3)
    assert made.found == []


@pytest.mark.parametrize(
    ("rule", "spoil"),
    [
        ("I1", lambda made: made.state.changes[TALK].pop()),  # an acknowledged message is not stored
        ("I1", lambda made: made.stored("x")),  # nobody sent it
        ("I1", lambda made: made.ask("x").add("fail", "change", op_id="x").stored("x")),  # it was refused
        ("I1", lambda made: made.push(9, "c2")),  # it is not stored
        ("I3", lambda made: made.stored("c")),  # one message twice
        ("I3", lambda made: made.ask("c").ok("c", 5)),  # another answer
        ("I8", lambda made: made.state.changes[TALK].__setitem__(0, StoredChange(7, "", "ann"))),  # a gap in numbers
        ("I8", lambda made: made.state.differing.append(TALK)),
        ("I8", lambda made: made.ask("x").ok("x", 2)),  # an answer had a higher number before
        ("I2", lambda made: made.read("bob", 2, 1)),  # two are unread
        ("I2", lambda made: made.read("bob", 1, 3)),  # it has read up to 2
        ("I2", lambda made: made.read("bob", 3, 1)),  # it has not read up to 3
        ("I7", lambda made: made.state.behind.update({"d": {TALK: 3}})),
        ("I7", lambda made: made.sent("d").sent("e").push(6, "c2")),  # 5 is missing
        ("I1", lambda made: made.state.absent.update({TALK: ["eve"]})),  # she was not notified
        ("I3", lambda made: made.state.notified.extend([Notified("k", "msg_4", "eve"), Notified("k", "msg_4", "dan")])),
        ("I9", lambda made: made.session("c3").push(4, "c2")),  # the replaced session is open
    ],
)  # fmt: skip
def test_each_rule_finds_its_violation(rule: str, spoil: Any) -> None:
    made = correct()
    spoil(made)
    assert rule in {one.partition(" ")[0] for one in made.found}, made.found
