"""Checks the history of a trial with messages, and what is stored at its end. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.faults.checks.history import Event
from tests.faults.checks.session_rules import Socket, concurrent_sessions, sockets
from tests.faults.checks.verdict import Verdict, Violation
from tests.faults.messages.operations import MessageOp
from tests.faults.messages.stored import Notified, StoredChange, StoredMessages

# Within this time a client learns that pushes are missing: it pings every 3 s.
_LEARN_SECONDS = 10.0


@dataclass(slots=True)
class Made:
    """An operation and its answers. Times are seconds of the clock of the history."""

    op: MessageOp
    invoked: float
    answered: float = float("inf")
    numbers: set[int] = field(default_factory=set)
    open_attempts: int = 0
    """Attempts without an answer, or with an unknown outcome."""

    @property
    def acked(self) -> bool:
        """Whether an attempt had success."""
        return bool(self.numbers)


def check_messages(
    events: Sequence[Event], state: StoredMessages, *, fence_seconds: float = 2.0, killed: Iterable[str] = ()
) -> Verdict:
    """Returns all violations. `fence_seconds`: the time until a replaced session must be silent."""
    verdict = Verdict()
    made = _operations(events)
    found = sockets(events)
    verdict.add(_gap_free(state))
    verdict.add(_lost(made, state))
    verdict.add(_doubled(made, state))
    verdict.add(_out_of_order(made))
    # What never had an answer may be stored after the state was read.
    unresolved = {one.op.conversation for one in made.values() if not one.acked and one.open_attempts}
    verdict.add(_inexact_unread(made, state, unresolved))
    verdict.add(_behind(state))
    verdict.add(_wrong_pushes(events, state, unresolved))
    verdict.add(_wrong_notifications(state))
    verdict.add(_undetected_gaps(events, found))
    verdict.add(concurrent_sessions(found, fence_seconds, killed))
    verdict.seen.update(
        operations=len(made),
        acked=sum(one.acked for one in made.values()),
        unknown=sum(not one.acked and one.open_attempts > 0 for one in made.values()),
        conversations=len(state.changes),
        notifications=len(state.notified),
        pushes=sum(event.kind == "push" for event in events),
        sockets=len(found),
        resumed=sum(one.verdict == "complete" for one in found.values()),
    )
    return verdict


def _operations(events: Iterable[Event]) -> dict[str, Made]:
    made: dict[str, Made] = {}
    for event in events:
        if event.what != "change":
            continue
        if event.kind == "invoke":
            one = made.get(event.op_id)
            if one is None:
                one = made[event.op_id] = Made(MessageOp(event.op_id, **event.args), event.time)
            one.open_attempts += 1
        elif event.kind == "ok":
            one = made[event.op_id]
            one.open_attempts -= 1
            one.answered = min(one.answered, event.time)
            one.numbers.add(int(event.result["number"]))
        elif event.kind == "fail":
            made[event.op_id].open_attempts -= 1
    return made


def _gap_free(state: StoredMessages) -> Iterable[Violation]:
    """I8: changes are numbered 1, 2, 3 and so on, and all nodes have the same."""
    for name, changes in state.changes.items():
        numbers = [change.number for change in changes]
        if numbers != list(range(1, len(numbers) + 1)):
            yield Violation("I8", name, f"has the numbers {_ranges(numbers)}")
    for name in state.differing:
        yield Violation("I8", name, "differs between two nodes")


def _lost(made: Mapping[str, Made], state: StoredMessages) -> Iterable[Violation]:
    """I1: what was acknowledged is stored, and what is stored was requested."""
    by_number = {name: {one.number: one for one in changes} for name, changes in state.changes.items()}
    for one in made.values():
        if one.op.action == "read":
            continue
        for number in one.numbers:
            stored = by_number[one.op.conversation].get(number)
            if stored is None or not _is_same(one.op, stored):
                yield Violation("I1", one.op.conversation, f"{one.op} was acknowledged as {number}, stored: {stored}")
    for name, changes in state.changes.items():
        for stored in changes:
            if stored.type == "send":
                sent = made.get(stored.client_msg_id)
                if sent is None or not _is_same(sent.op, stored):
                    yield Violation("I1", name, f"nobody sent {stored}")
                elif not sent.acked and not sent.open_attempts:
                    yield Violation("I1", name, f"{stored} was refused")


def _is_same(op: MessageOp, stored: StoredChange) -> bool:
    if (stored.type, stored.user) != (op.action, op.user):
        return False
    return op.action != "send" or stored.client_msg_id == op.op_id


def _doubled(made: Mapping[str, Made], state: StoredMessages) -> Iterable[Violation]:
    """I3: an operation has one number, however often it is requested."""
    for one in made.values():
        if one.op.action != "read" and len(one.numbers) > 1:
            yield Violation("I3", one.op.conversation, f"{one.op} was answered with {sorted(one.numbers)}")
    for name, changes in state.changes.items():
        seen: dict[tuple[str, str], int] = {}
        for stored in changes:
            if stored.type == "send":
                key = (stored.user, stored.client_msg_id)
                if key in seen:
                    yield Violation("I3", name, f"{key} is stored as {seen[key]} and {stored.number}")
                seen[key] = stored.number
        wanted = sum(one.op.action in ("edit", "delete") and one.op.conversation == name for one in made.values())
        stored_changes = sum(stored.type in ("edit", "delete") for stored in changes)
        if stored_changes > wanted:
            yield Violation("I3", name, f"{stored_changes} edits and deletions are stored, {wanted} were requested")


def _out_of_order(made: Mapping[str, Made]) -> Iterable[Violation]:
    """I8: what is requested after an answer has a higher number than the answer."""
    by_conversation: dict[str, list[Made]] = {}
    for one in made.values():
        if one.acked and one.op.action != "read":
            by_conversation.setdefault(one.op.conversation, []).append(one)
    for name, all_made in by_conversation.items():
        answers = sorted(all_made, key=lambda one: one.answered)
        highest, at = 0, 0
        for one in sorted(all_made, key=lambda one: one.invoked):
            while at < len(answers) and answers[at].answered < one.invoked:
                highest = max(highest, *answers[at].numbers)
                at += 1
            if min(one.numbers) < highest:
                yield Violation("I8", name, f"{one.op} got {min(one.numbers)} after {highest} was answered")


def _inexact_unread(
    made: Mapping[str, Made], state: StoredMessages, unresolved: Collection[str]
) -> Iterable[Violation]:
    """I2: a user has read up to the latest of its own messages and `mark_read`; what follows is unread."""
    least: dict[tuple[str, str], int] = {}
    most: dict[tuple[str, str], int] = {}
    for name, changes in state.changes.items():
        for one in changes:
            if one.type == "send":
                least[one.user, name] = most[one.user, name] = one.number
    for made_one in made.values():
        op = made_one.op
        if op.action == "read":
            key = (op.user, op.conversation)
            most[key] = max(most.get(key, 0), op.subject)
            if made_one.acked:
                least[key] = max(least.get(key, 0), op.subject)
    for key, (read, unread) in state.reads.items():
        if key[1] not in state.changes or key[1] in unresolved:
            continue
        # Creation counts as read.
        if not least.get(key, 0) <= read <= max(most.get(key, 0), 1):
            yield Violation("I2", str(key), f"has read up to {read}, not {least.get(key, 0)} to {most.get(key, 0)}")
        messages = [one for one in state.changes[key[1]] if one.type == "send" and not one.is_deleted]
        exact = sum(one.number > read for one in messages)
        if unread != exact:
            yield Violation("I2", str(key), f"has {unread} unread messages, not {exact}")


def _behind(state: StoredMessages) -> Iterable[Violation]:
    """I7: in the end a device has all changes."""
    heads = state.heads
    for device, lacks in state.behind.items():
        for name, known in lacks.items():
            yield Violation("I7", device, f"has {name} up to {known} of {heads.get(name)}")


def _wrong_pushes(events: Iterable[Event], state: StoredMessages, unresolved: Collection[str]) -> Iterable[Violation]:
    """I1: a push has a number, and a message with it, that is stored."""
    by_number = {name: {one.number: one for one in changes} for name, changes in state.changes.items()}
    for event in events:
        if event.kind != "push":
            continue
        frame = event.result
        stored = by_number.get(frame["conversation"], {}).get(frame["number"])
        where = f"{event.connection} {frame['conversation']}"
        if stored is None and frame["conversation"] in unresolved:
            continue
        if stored is None:
            yield Violation("I1", where, f"got {frame['number']}, which is not stored")
        elif event.what == "new_message":
            found = (frame["message_id"], frame["sender_id"], frame["client_msg_id"])
            if stored.type != "send" or found != (stored.message_id, stored.user, stored.client_msg_id):
                yield Violation("I1", where, f"got {found} as {frame['number']}, which is {stored}")


def _wrong_notifications(state: StoredMessages) -> Iterable[Violation]:
    """I1: absent members are notified of the last message; I3: a key is of one message and one member."""
    for message_id, user in state.not_notified():
        yield Violation("I1", message_id, f"{user} was not notified")
    told: dict[str, Notified] = {}
    for one in state.notified:
        if told.setdefault(one.key, one) != one:
            yield Violation("I3", one.key, f"notifies of {one} and of {told[one.key]}")


def _undetected_gaps(events: Iterable[Event], found: Mapping[str, Socket]) -> Iterable[Violation]:
    """I7: the live pushes of a session are in order, and none is missing that the client does not learn of.

    The client learns at once or moments later by a gap in `seq`, a new session, a verdict other than `complete`, or an
    ended subscription. Pushes before `backlog_done` are messages only; what they have told is not told again after it.
    """
    chains: dict[str, _Chain] = {}
    for event in events:
        one = found.get(event.connection)
        if one is None:
            continue
        chain = chains.get(one.connection)
        if chain is None:
            before = chains.get(one.before)
            if before is not None and one.verdict != "complete":
                before.learned(event.time)
            chain = chains[one.connection] = before if before and one.verdict == "complete" else _Chain()
        if event.kind == "mark" and event.what == "backlog_done":
            chain.is_live = True
        elif event.kind == "mark" and (event.what == "subscription_ended" or event.what.startswith("gap")):
            chain.learned(event.time)
        elif event.kind == "push" and (missing := chain.add(event.result["conversation"], int(event.result["number"]))):
            what = f"got {event.result} without {missing}, and without a gap in seq"
            chain.missing.append((event.time, Violation("I7", one.where, what)))
    for chain in {id(one): one for one in chains.values()}.values():
        yield from (violation for _, violation in chain.missing)


@dataclass(slots=True)
class _Chain:
    """Sockets of one session without a gap: what was pushed, and the last live push of each conversation."""

    is_live: bool = False
    in_backlog: dict[str, int] = field(default_factory=dict)
    """The highest number of each conversation before `backlog_done`: up to there pushes may come again, in parts."""
    last: dict[str, int] = field(default_factory=dict)
    pushed: dict[str, set[int]] = field(default_factory=dict)
    missing: list[tuple[float, Violation]] = field(default_factory=list)
    """When something was missing of which the client has not learned, and what."""

    def learned(self, time: float) -> None:
        """The client learns at this time that pushes are missing, and loads them."""
        self.missing = [one for one in self.missing if one[0] < time - _LEARN_SECONDS]
        self.last.clear()

    def add(self, conversation: str, number: int) -> list[int]:
        """Adds a push; returns what is missing before it."""
        pushed = self.pushed.setdefault(conversation, set())
        pushed.add(number)
        before = self.last.get(conversation)
        if not self.is_live:
            self.in_backlog[conversation] = max(number, self.in_backlog.get(conversation, 0))
            return []
        if number <= self.in_backlog.get(conversation, 0):
            return []
        self.last[conversation] = max(number, before or 0)
        return [] if before is None else [one for one in range(before + 1, number) if one not in pushed]


def _ranges(numbers: Sequence[int]) -> str:
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(f"{first}-{last}" for first, last in parts)
