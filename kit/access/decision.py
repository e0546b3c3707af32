"""Decides checks by what is known of their conversations. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kit.access.domain import BLOCK, Block, Subject, UserAccess, subject_of
from kit.access.errors import ConversationNotFound, MessageNotFound
from kit.access.ports import Answer, Check, Query
from kit.errors import Problem
from kit.tenant_keys import TargetKey


def is_granted(check: Check, subject: Subject, access: UserAccess | None, block: Block | None) -> bool:
    """Whether the user may; `block`: the one that has the number of the message. None: not known."""
    if access is None or (check.as_member and not access.is_member):
        return False
    if not subject.seq:
        return access.is_member or bool(access.spans)
    return access.may_see(subject.seq) and block is not None and subject.seq in block.message_seqs


def queries_of(checks: Iterable[Check]) -> dict[TargetKey, Query]:
    """What to ask, once for each conversation. Names of what cannot exist are left out."""
    users: dict[TargetKey, dict[str, None]] = {}
    blocks: dict[TargetKey, dict[int, None]] = {}
    for check in checks:
        subject = subject_of(check.name)
        if subject.conversation_id:
            key = check.tenant, subject.conversation_id
            users.setdefault(key, {})[check.user] = None
            if subject.seq:
                blocks.setdefault(key, {})[subject.seq // BLOCK] = None
    return {key: Query(tuple(named), tuple(blocks.get(key, ()))) for key, named in users.items()}


def decide(check: Check, answers: Mapping[TargetKey, Answer]) -> Problem | None:
    """The answer to a check by the answers to its query: None where it is granted."""
    subject = subject_of(check.name)
    answer = answers.get((check.tenant, subject.conversation_id))
    access = answer.users.get(check.user) if answer is not None else None
    block = answer.blocks.get(subject.seq // BLOCK) if answer is not None else None
    if is_granted(check, subject, access, block):
        return None
    if check.name.startswith("messages/"):
        return MessageNotFound("there is no such message", field="target")
    return ConversationNotFound("there is no such conversation", field="conversation_id")
