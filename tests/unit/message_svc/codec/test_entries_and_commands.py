"""What is encoded is decoded as it was."""

from __future__ import annotations

from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import Invalid
from kit.ledger.errors import CorruptEntry, NewerFormat
from kit.ledger.node import Executed
from message_svc.actions import ACTIONS, Action
from message_svc.codec.commands import CommandCodec
from message_svc.codec.entries import FORMAT, EntryCodec
from message_svc.commands import Command, Outcome, Reason, Refusal
from message_svc.domain import (
    Body,
    ConversationChange,
    DeletedBy,
    Head,
    Item,
    ItemType,
    Kind,
    Member,
    Operation,
    Pin,
    ReceiptMove,
    Role,
    Span,
    UserDraft,
)
from message_svc.moderation_records import (
    AuditAction,
    AuditRecord,
    Capacity,
    Report,
    ReportErasure,
    ReportResolution,
    ReportStatus,
)
from plaudit.event.v1 import message_events_pb2 as pb

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
numbers = st.integers(0, 1 << 53)
metadata = st.dictionaries(texts, texts, max_size=3).map(lambda found: tuple(sorted(found.items())))
users = st.lists(texts, max_size=3).map(tuple)
bodies = st.builds(Body, texts, texts, numbers, users, metadata, st.integers(0, 5))
members = st.builds(
    Member,
    texts,
    st.sampled_from(Role),
    numbers,
    st.lists(st.builds(Span, numbers, numbers), max_size=3).map(tuple),
    numbers, numbers, numbers, numbers,
    st.lists(st.tuples(texts, numbers), max_size=3).map(tuple),
    numbers,
    st.booleans(),
    numbers,
    st.booleans(),
    numbers,
)  # fmt: skip


def items_of(type_: ItemType) -> st.SearchStrategy[Item]:
    body = bodies if type_ in (ItemType.MESSAGE, ItemType.EDIT) else st.none()
    return st.builds(
        Item, numbers, st.just(type_), texts, numbers, numbers, numbers, body, texts, users, st.sampled_from(Role),
        texts, texts, texts, st.sampled_from(DeletedBy), numbers,
    )  # fmt: skip


heads = st.builds(
    Head, st.sampled_from(Kind), texts, texts, texts, *[numbers] * 15, texts, st.just(7), texts,
    st.lists(texts, max_size=2).map(tuple), st.lists(st.builds(Pin, numbers, numbers), max_size=2).map(tuple),
    numbers,
).map(lambda head: head._replace(members=head.members % (1 << 32), admins=head.admins % (1 << 32)))  # fmt: skip
small = st.integers(0, 1 << 31)
reports = st.builds(Report, texts, numbers, texts, texts, small, texts, texts, texts, numbers, numbers)
resolutions = st.builds(ReportResolution, texts, st.sampled_from(ReportStatus), texts, texts, numbers)
audits = st.builds(
    AuditRecord, texts, st.sampled_from(AuditAction), texts, st.sampled_from(Capacity), numbers, numbers, texts, small,
    texts, st.sampled_from(ReportStatus), texts,
)  # fmt: skip
changes = st.builds(
    ConversationChange,
    st.tuples(texts, texts),
    heads,
    st.lists(st.sampled_from(ItemType).flatmap(items_of), max_size=3),
    st.lists(members, max_size=2).map(lambda rows: {row.user: row for row in rows}),
    st.lists(st.builds(Operation, texts, texts, st.binary(max_size=16), numbers, numbers, numbers, texts), max_size=2),
    st.lists(st.builds(ReceiptMove, texts, numbers, numbers, numbers, users), max_size=2),
    st.just([]),
    st.just(()),
    numbers,
    st.lists(reports, max_size=2),
    st.lists(resolutions, max_size=2),
    st.lists(audits, max_size=2),
    st.lists(st.builds(ReportErasure, texts, texts), max_size=2),
).flatmap(
    lambda change: st.lists(st.builds(UserDraft, texts, texts, numbers, texts), max_size=2).map(
        lambda drafts: change._replace(own_changes=list(change.members), drafts=drafts)
    )
)


@given(st.lists(changes, min_size=1, max_size=2))
def test_an_entry_is_decoded_as_it_was(made: list[ConversationChange]) -> None:
    assert EntryCodec().decode(EntryCodec().encode(made), 7) == made


def test_an_entry_of_a_newer_format_and_a_broken_one_are_refused() -> None:
    with pytest.raises(NewerFormat):
        EntryCodec().decode(pb.MessagesChanged(format=FORMAT + 1).SerializeToString(), 1)
    with pytest.raises(CorruptEntry):
        EntryCodec().decode(b"\xff", 1)
    broken = pb.MessagesChanged()
    broken.conversations.add(head=pb.ConversationHead(type=99))
    with pytest.raises(CorruptEntry):
        EntryCodec().decode(broken.SerializeToString(), 1)


def actions_of(action: type[Action]) -> st.SearchStrategy[Action]:
    many = st.lists(numbers, max_size=4).map(tuple)
    known = {int: numbers, int | None: st.none() | numbers, tuple[int, ...]: many, Body: bodies}
    return st.builds(action, **{name: known.get(hint, ...) for name, hint in get_type_hints(action).items()})


actions = st.one_of(*map(actions_of, ACTIONS))
commands = st.builds(Command, texts, texts, texts, texts, actions)


@given(st.lists(commands, max_size=4))
def test_commands_are_decoded_as_they_were(given_commands: list[Command]) -> None:
    decoded = CommandCodec().decode_commands(CommandCodec().encode_commands(given_commands))
    assert decoded == given_commands
    assert [type(command.action) for command in decoded] == [type(command.action) for command in given_commands]


@given(
    st.lists(
        st.one_of(
            st.builds(Outcome, numbers, numbers, numbers, st.none() | members),
            st.builds(Refusal, st.sampled_from(Reason), numbers, numbers),
        ),
        max_size=4,
    )
)
def test_answers_are_decoded_as_they_were(answers: list[Outcome | Refusal]) -> None:
    decoded = CommandCodec().decode_executed(CommandCodec().encode_executed(Executed(answers, None)))
    assert list(decoded.answers) == answers
    assert [type(answer) for answer in decoded.answers] == [type(answer) for answer in answers]


def test_malformed_commands_are_invalid() -> None:
    for data in (b"", b"\xc1", b"\x91\xc0"):
        with pytest.raises(Invalid):
            CommandCodec().decode_commands(data)
