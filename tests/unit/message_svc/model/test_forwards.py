"""Forwarded messages: a retry is the same message, whatever became of the one that it forwards."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from message_svc.actions import Send
from message_svc.commands import Reason
from message_svc.domain import Body
from message_svc.model.decision import digest_of
from tests.unit.message_svc.shards import Shard

ORIGIN = "msg_1_5"


def test_a_retry_is_the_same_message_though_the_origin_was_edited_or_deleted() -> None:
    shard = Shard()
    group = shard.group("ann", "bob")
    sent = shard.made(group, "ann", Send(Body("hi", forwards=1), forward_of=ORIGIN), "uuid")
    for retry in (
        Send(Body("edited", "markdown", forwards=2), forward_of=ORIGIN),
        Send(Body("", ""), forward_of=ORIGIN),
    ):
        assert shard.made(group, "ann", retry, "uuid") == sent
    for other in (
        Send(Body("hi", forwards=1), forward_of="msg_1_6"),
        Send(Body("hi"), forward_of=""),
        Send(Body("hi", reply_to=2, forwards=1), forward_of=ORIGIN),
    ):
        assert shard.refused(group, "ann", other, "uuid") is Reason.CONFLICT


def test_a_message_that_the_sender_does_not_see_is_not_forwarded() -> None:
    shard = Shard()
    group = shard.group("ann")
    assert shard.refused(group, "ann", Send(Body("", ""), forward_of=ORIGIN)) is Reason.NO_ORIGIN
    assert shard.refused(group, "eve", Send(Body("hi"), forward_of=ORIGIN)) is Reason.NOT_FOUND


def test_a_message_has_the_digest_that_it_had_before_there_were_forwards() -> None:
    action = Send(Body("hi", "text", 3, ("bob",), (("a", "b"),)), 7)
    before = (2, (("hi", "text", 3, ("bob",), (("a", "b"),)), 7))
    assert digest_of(action) == blake2b(msgspec.msgpack.encode(before), digest_size=16).digest()
