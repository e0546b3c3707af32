"""What is queued: in order, in lanes, and kept over a restart."""

from __future__ import annotations

from plaudit_client.conversations.outbox import Outbox, OutboxEntry


def entry(entry_id: str, lane: str = "c1", action: str = "send", **fields: str | int) -> OutboxEntry:
    return OutboxEntry(entry_id, action, lane, content=entry_id, mentions=("bob",), **fields)  # type: ignore[arg-type]


def test_the_entries_of_a_lane_are_sent_in_the_order_of_their_creation() -> None:
    outbox = Outbox("me")
    for each in (entry("b"), entry("a"), entry("c", "c2")):
        outbox.set(each)
    assert outbox.lanes() == ["c1", "c2"]
    head = outbox.head("c1")
    assert head is not None
    assert head.id == "b"
    outbox.remove("b")
    assert [each.id for each in (outbox.head("c1"), outbox.head("c2")) if each] == ["a", "c"]


def test_what_is_queued_survives_a_restart_in_order() -> None:
    storage: dict[str, str] = {}
    outbox = Outbox("me", storage)
    queued = [entry(str(number)) for number in (5, 3, 9, 1)]
    for each in queued:
        outbox.set(each)
    outbox.remove("9")
    again = Outbox("me", storage)
    heads = []
    while (head := again.head("c1")) is not None:
        heads.append(head)
        again.remove(head.id)
    assert heads == [queued[0], queued[1], queued[3]]
    assert storage == {}


def test_a_forwarded_message_is_sent_by_its_id_also_after_a_restart() -> None:
    storage: dict[str, str] = {}
    Outbox("me", storage).set(entry("f1", conversation_id="c1", forward_of="m7", forward_count=2))
    again = Outbox("me", storage).head("c1")
    assert again is not None
    assert again.request() == (
        "send_message", {"conversation_id": "c1", "forward_of": "m7", "client_msg_id": "f1"},
    )  # fmt: skip
    assert (again.content, again.forward_count) == ("f1", 2)


def test_entries_of_another_user_stay_and_what_cannot_be_read_is_removed() -> None:
    storage = {"plaudit.queue.me.1": "{", "plaudit.queue.me.2": '{"id": "2"}'}
    Outbox("other", storage).set(entry("3"))
    assert len(Outbox("me", storage)) == 0
    assert len(storage) == 1


def test_the_first_message_to_a_user_names_the_conversation_and_the_message_for_those_behind_it() -> None:
    outbox = Outbox("me")
    first = entry("1", "user:bob", recipient_id="bob")
    for each in (first, entry("2", "user:bob", recipient_id="bob"), entry("3", "user:bob", "edit", target="1")):
        outbox.set(each)
    outbox.sent(first, "c9", "m1")
    second, third = outbox.pending("c9")
    assert (second.request()[1]["conversation_id"], third.request()[1]["message_id"]) == ("c9", "m1")
