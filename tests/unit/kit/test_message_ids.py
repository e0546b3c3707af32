"""Ids of conversations and messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.message_ids import MessageRef, direct_id, group_id, is_conversation_id, message_id, parse_message_id
from kit.target import is_id

CONVERSATION = direct_id("acme", "alice", "bob")


def test_a_direct_conversation_has_one_id_in_either_order() -> None:
    assert direct_id("acme", "bob", "alice") == CONVERSATION
    assert is_conversation_id(CONVERSATION)
    assert len(CONVERSATION) == len("conv_") + 26


def test_other_users_tenants_and_kinds_have_other_ids() -> None:
    others = [
        direct_id("other", "alice", "bob"),
        direct_id("acme", "alice", "carol"),
        direct_id("acme", "alic", "ebob"),
        group_id("acme", "alice", "bob"),
        group_id("acme", "bob", "alice"),
    ]
    assert len({CONVERSATION, *others}) == len(others) + 1


@given(st.integers(1, 1 << 59))
def test_the_id_of_a_message_names_its_conversation_and_number(seq: int) -> None:
    name = message_id(CONVERSATION, seq)
    assert parse_message_id(name) == MessageRef(CONVERSATION, seq)
    assert is_id(name)


@pytest.mark.parametrize(
    "text",
    ["", "msg_1", "msg_789", f"msg_{CONVERSATION[5:]}", f"msg_{CONVERSATION[5:]}_", f"msg_{CONVERSATION[5:]}_0",
     f"msg_{CONVERSATION[5:]}_01", f"msg_{CONVERSATION[5:]}_w", f"msg_{CONVERSATION[5:].upper()}_1",
     f"msg_{CONVERSATION[5:-1]}1_1", f"msg_{CONVERSATION[5:]}_1\n", f"{CONVERSATION}_1",
     f"msg_{CONVERSATION[5:]}_{'1' * 13}"],
)  # fmt: skip
def test_a_malformed_message_id_is_refused(text: str) -> None:
    assert parse_message_id(text) is None
