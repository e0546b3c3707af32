"""Bugs that exist only here: each removes something from the decisions on conversations that the checks must miss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from kit.ledger.entry import Entry
from message_svc.actions import HideBefore, MarkRead, RecordPurge
from message_svc.adapters.memory_tables import MemoryTables
from message_svc.commands import Command, Outcome
from message_svc.domain import ItemType, Member
from message_svc.model.conversation import ConversationState
from message_svc.model.decision import ConversationDecision
from message_svc.model.draft import Draft
from message_svc.model.model import MessageDecision, MessageModel
from tests.simulation.mutants import (
    Patches,
    a_buffer_with_gaps,
    a_failed_record_skipped,
    ack_before_append,
    watermark_over_a_foreign_entry,
)


def replay_skips_one() -> Patches:
    """Now and then an entry of another node is not applied."""
    replay = MessageModel.replay

    def some(self: MessageModel, entry: Entry) -> None:
        if entry.position % 4:
            replay(self, entry)

    return [(MessageModel, "replay", some)]


def load_without_overlay() -> Patches:
    """What is loaded lacks the entries whose tables are not written yet."""
    return [(MessageModel, "_pending_changes_of", lambda self, key: iter(()))]


def a_refusal_without_confirmation() -> Patches:
    """What changes nothing is answered from memory alone."""
    decide = MessageModel.decide

    def certain(self: MessageModel, *what: Any) -> MessageDecision:
        decided = decide(self, *what)
        return decided if decided.payload is not None else decided._replace(is_certain=True)

    return [(MessageModel, "decide", certain)]


def equal_stamps() -> Patches:
    """Two entries have the same stamp."""
    decide = MessageModel.decide

    def stuck(self: MessageModel, commands: Sequence[Command], now: int, last_stamp: int) -> MessageDecision:
        return decide(self, commands, min(now, last_stamp), last_stamp - 1)

    return [(MessageModel, "decide", stuck)]


def an_operation_id_forgotten() -> Patches:
    """The answer to an operation is not stored with its id."""
    change = Draft.change

    def forgetful(self: Draft, stamp: int, now: int) -> Any:
        return change(self, stamp, now)._replace(operations=[])

    return [(Draft, "change", forgetful)]


def every_op_id_is_new() -> Patches:
    """Only the answers in memory are looked up."""
    return [(ConversationState, "knows_operation", lambda self, key: True)]


def a_cursor_that_goes_back() -> Patches:
    """A read cursor goes where it is told, also back."""
    decide: Any = ConversationDecision._decide_new

    def backwards(self: Any, command: Command, now: int) -> Any:
        answer = decide(self, command, now)
        if isinstance(command.action, MarkRead) and isinstance(answer, Outcome) and answer.member is not None:
            row = answer.member._replace(read_seq=command.action.seq)
            self._draft.members[command.user] = row
        return answer

    return [(ConversationDecision, "_decide_new", backwards)]


def a_number_for_messages_only() -> Patches:
    """Edits have the number of the message before them."""
    append = Draft.append

    def shared(self: Draft, type_: ItemType, actor: str, **fields: Any) -> Outcome:
        outcome = append(self, type_, actor, **fields)
        if type_ is ItemType.EDIT:
            assert self.head is not None
            self.head = self.head._replace(last_seq=outcome.seq - 1)
        return outcome

    return [(Draft, "append", shared)]


def a_receipt_of_a_private_read() -> Patches:
    """Others are told of every move of a read cursor."""
    decide: Any = ConversationDecision._decide_new

    def tells(self: Any, command: Command, now: int) -> Any:
        answer = decide(self, command, now)
        if isinstance(command.action, MarkRead) and isinstance(answer, Outcome) and answer.member is not None:
            self._draft.show_receipt(command.user, 0, answer.member.read_seq, after=0)
        return answer

    return [(ConversationDecision, "_decide_new", tells)]


def a_membership_that_devices_are_not_told_of() -> Patches:
    """The row of a member changes without a word to its devices."""

    def silent(self: Draft, member: Member) -> None:
        self.members[member.user] = member

    return [(Draft, "set_own_row", silent)]


def only_senders_in_memory_are_told() -> Patches:
    """Who sent a message before the conversation was loaded is told of no receipt."""
    conversation = MemoryTables._conversation
    return [(MemoryTables, "_conversation", lambda self, key: conversation(self, key)._replace(senders=()))]


def a_boundary_that_goes_back() -> Patches:
    """Items that have disappeared come back."""
    decide: Any = ConversationDecision._decide_new

    def backwards(self: Any, command: Command, now: int) -> Any:
        answer, draft, action = decide(self, command, now), self._draft, command.action
        if isinstance(action, HideBefore) and draft.head is not None and 1 < action.seq < draft.head.visible_from:
            draft.head = draft.head._replace(visible_from=action.seq)
        return answer

    return [(ConversationDecision, "_decide_new", backwards)]


def a_purge_that_forgets_what_was_sent_meanwhile() -> Patches:
    """After a purge a conversation is due when its caller has said, also where a message came since."""
    decide: Any = ConversationDecision._decide_new

    def forgetful(self: Any, command: Command, now: int) -> Any:
        answer, draft, action = decide(self, command, now), self._draft, command.action
        if isinstance(action, RecordPurge) and draft.head is not None and action.seq == draft.head.visible_from:
            draft.head = draft.head._replace(retention_due_ms=action.due_ms)
        return answer

    return [(ConversationDecision, "_decide_new", forgetful)]


def an_act_without_a_record() -> Patches:
    """An admin or a moderator acts on others, and nothing tells of it."""
    return [(Draft, "audit", lambda self, action, actor, capacity, **fields: None)]


MUTANTS: Mapping[str, Callable[[], Patches]] = {
    make.__name__: make
    for make in (
        ack_before_append,
        watermark_over_a_foreign_entry,
        a_failed_record_skipped,
        a_buffer_with_gaps,
        replay_skips_one,
        load_without_overlay,
        a_refusal_without_confirmation,
        equal_stamps,
        an_operation_id_forgotten,
        every_op_id_is_new,
        a_cursor_that_goes_back,
        a_number_for_messages_only,
        a_receipt_of_a_private_read,
        a_membership_that_devices_are_not_told_of,
        only_senders_in_memory_are_told,
        a_boundary_that_goes_back,
        a_purge_that_forgets_what_was_sent_meanwhile,
        an_act_without_a_record,
    )
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The bug of that name for the block."""
    patches = [patch.object(owner, attribute, new) for owner, attribute, new in MUTANTS[name]()]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()
