"""Which nodes get which updates, and which counts fan-out requests."""

from __future__ import annotations

import pytest

from fanout_svc.conversation_pushes import ConversationItem, ConversationItems, ItemPush, MemberList
from fanout_svc.domain import Node, OwnUpdate, Topic
from fanout_svc.topics.interest import RegistryDelta
from tests.unit.fanout_svc.stage import counts, staged

A: Topic = ("default", "messages/a")
B: Topic = ("default", "messages/b")
ALICE: Topic = ("default", "users/alice")


async def test_an_update_is_sent_without_a_request_for_counts() -> None:
    async with staged() as stage:
        stage.counter.totals[A] = counts(0)
        stage.wants("n1", A, ALICE)
        await stage.until(lambda: stage.told("n1", A) == [0])
        stage.changes(A, 1)
        await stage.until(lambda: stage.told("n1", A) == [0, 1])
        stage.changes(A, 2)
        await stage.until(lambda: stage.told("n1", A) == [0, 1, 2])
        assert stage.counter.asked == [{A: 0}]
        own = [one for one in stage.nodes.got["n1"] if isinstance(one, OwnUpdate)]
        assert [(one.topic, one.target, one.added, one.version) for one in own] == [
            (ALICE, A[1], "👍", 1),
            (ALICE, A[1], "👍", 2),
        ]


async def test_a_snapshot_is_made_from_memory_where_the_target_was_changed_recently() -> None:
    async with staged() as stage:
        stage.changes(A, 7)  # it has no subscribers yet
        stage.wants("n1", A)
        await stage.until(lambda: stage.told("n1", A) == [7])
        assert not stage.counter.asked


async def test_a_snapshot_after_missed_changes_is_requested_at_the_known_version() -> None:
    async with staged() as stage:
        stage.changes(A, 7)
        stage.wants("n1", A)
        await stage.until(lambda: stage.told("n1", A) == [7])
        stage.counter.totals[A] = counts(9)
        stage.fanout.mark_gap(0)
        await stage.until(lambda: stage.told("n1", A) == [7, 9])
        assert stage.counter.asked == [{A: 7}]
        assert stage.nodes.gaps == 1


async def test_after_missed_changes_the_last_known_version_of_a_target_is_kept() -> None:
    async with staged() as stage:
        stage.changes(A, 7)  # it has no subscribers yet
        stage.fanout.mark_gap(0)
        stage.counter.totals[A] = counts(6)
        stage.wants("n1", A)
        await stage.until(lambda: len(stage.counter.asked) > 2)
        assert stage.counter.asked[0] == {A: 7}
        assert not stage.told("n1", A)
        stage.counter.totals[A] = counts(7)
        await stage.until(lambda: stage.told("n1", A) == [7])


async def test_a_snapshot_is_never_older_than_what_was_sent() -> None:
    async with staged() as stage:
        stage.changes(A, 7)
        stage.wants("n1", A)
        await stage.until(lambda: stage.told("n1", A) == [7])
        stage.counter.totals[A] = counts(6)
        stage.fanout.mark_gap(0)
        await stage.until(lambda: len(stage.counter.asked) > 2)
        assert stage.told("n1", A) == [7]
        stage.counter.totals[A] = counts(8)
        await stage.until(lambda: stage.told("n1", A) == [7, 8])


async def test_a_change_during_a_request_for_a_snapshot_is_sent_immediately_and_makes_the_answer_stale() -> None:
    async with staged() as stage:
        stage.counter.may_answer.clear()
        stage.counter.totals[A] = counts(3)
        stage.wants("n1", A)
        await stage.until(lambda: len(stage.counter.asked) == 1)
        stage.changes(A, 4)
        await stage.until(lambda: stage.told("n1", A) == [4])
        stage.counter.may_answer.set()
        stage.counter.totals[B] = counts(0)
        stage.wants("n1", B)
        await stage.until(lambda: stage.told("n1", B) == [0])
        assert set(stage.told("n1", A)) == {4}


async def test_an_update_that_is_older_than_a_snapshot_is_not_sent() -> None:
    async with staged() as stage:
        stage.counter.totals[A] = counts(5)  # the counter is ahead of the log
        stage.counter.totals[B] = counts(0)
        stage.wants("n1", A, B)
        await stage.until(lambda: stage.told("n1", A) == [5] and stage.told("n1", B) == [0])
        stage.changes(A, 4)
        stage.changes(B, 1)
        await stage.until(lambda: stage.told("n1", B) == [0, 1])
        assert stage.told("n1", A) == [5]
        stage.changes(A, 6)
        await stage.until(lambda: stage.told("n1", A) == [5, 6])


async def test_a_snapshot_waits_for_a_counter_that_is_down() -> None:
    async with staged() as stage:
        stage.counter.down = True
        stage.wants("n1", A)
        await stage.until(lambda: len(stage.counter.asked) > 2)
        stage.counter.down = False
        stage.counter.totals[A] = counts(2)
        await stage.until(lambda: stage.told("n1", A) == [2])


async def test_a_topic_without_subscribers_is_not_requested_again() -> None:
    async with staged() as stage:
        stage.counter.down = True
        stage.wants("n1", A)
        await stage.until(lambda: len(stage.counter.asked) > 2)
        stage.fanout.apply_delta(RegistryDelta(interests=[("n1", A, False)]))
        stage.counter.totals[B] = counts(0)
        stage.counter.asked.clear()
        stage.counter.down = False
        stage.wants("n1", B)
        await stage.until(lambda: stage.told("n1", B) == [0])
        assert all(set(asked) == {B} for asked in stage.counter.asked[1:])
        assert not stage.told("n1", A)


async def test_after_a_restore_lower_versions_are_sent() -> None:
    async with staged() as stage:
        stage.changes(A, 7)
        stage.wants("n1", A)
        await stage.until(lambda: stage.told("n1", A) == [7])
        stage.counter.totals[A] = counts(5)
        stage.fanout.ledger_replaced(0)
        await stage.until(lambda: stage.told("n1", A) == [7, 5])


@pytest.mark.parametrize("many", [1, 450])
async def test_all_nodes_get_snapshots_when_a_partition_is_assigned_to_another_node(many: int) -> None:
    async with staged() as stage:
        topics = [("default", f"messages/{n}") for n in range(many)]
        stage.fanout.revoke(0)
        stage.wants("n1", *topics)
        stage.fanout.reset_partition(0)
        stage.fanout.apply_heads(0, [(topic, (3, ("👍",), (3,)), ()) for topic in topics])
        stage.fanout.assign(0)
        await stage.until(lambda: all(stage.told("n1", topic) == [3] for topic in topics))
        assert not stage.counter.asked


async def test_a_node_that_subscribes_to_a_users_topic_is_announced_to_itself_and_to_the_others() -> None:
    async with staged() as stage:
        stage.wants("n1", A, ALICE)
        await stage.until(lambda: stage.announced("n1") == [(ALICE, "n1")])
        stage.wants("n2", ALICE)
        await stage.until(lambda: len(stage.announced("n2")) == 2)
        assert stage.announced("n1") == [(ALICE, "n1"), (ALICE, "n2")]
        assert sorted(stage.announced("n2")) == [(ALICE, "n1"), (ALICE, "n2")]


async def test_a_change_after_a_node_was_announced_to_itself_is_delivered_to_it() -> None:
    async with staged() as stage:
        stage.changes(A, 1)
        stage.wants("n1", ALICE)
        await stage.until(lambda: stage.announced("n1") == [(ALICE, "n1")])
        stage.changes(A, 2)
        assert stage.own_versions("n1") == [2]


async def test_a_node_that_subscribes_again_is_announced_again() -> None:
    async with staged() as stage:
        stage.wants("n1", ALICE)
        await stage.until(lambda: len(stage.announced("n1")) == 1)
        stage.fanout.apply_delta(RegistryDelta(interests=[("n1", ALICE, False), ("n1", ALICE, True)]))
        await stage.until(lambda: len(stage.announced("n1")) == 2)


async def test_an_announcement_that_may_be_lost_is_repeated() -> None:
    async with staged() as stage:
        stage.wants("n1", ALICE)
        await stage.until(lambda: len(stage.announced("n1")) == 1)
        stage.nodes.on_resync("n1", [ALICE])
        await stage.until(lambda: len(stage.announced("n1")) == 2)
        stage.nodes.on_resync("n1", None)
        await stage.until(lambda: len(stage.announced("n1")) == 3)
        # Between two watches a node can unsubscribe and subscribe again.
        stage.fanout.restart_interest()
        up = (Node("n1", "127.0.0.1:1", 1),)
        stage.fanout.apply_delta(RegistryDelta(up=up, interests=[("n1", ALICE, True)], synced=True))
        await stage.until(lambda: len(stage.announced("n1")) == 4)


async def test_a_node_that_unsubscribes_before_it_is_announced_is_not_announced() -> None:
    async with staged() as stage:
        stage.wants("n1", ALICE)
        stage.fanout.apply_delta(RegistryDelta(interests=[("n1", ALICE, False)]))
        stage.wants("n1", ("default", "users/bob"))
        await stage.until(lambda: len(stage.announced("n1")) > 0)
        assert stage.announced("n1") == [(("default", "users/bob"), "n1")]


async def test_an_item_of_a_conversation_is_one_delivery_for_each_node() -> None:
    async with staged() as stage:
        bob, carol, dave = (("default", f"users/{name}") for name in ("bob", "carol", "dave"))
        stage.wants("n1", ALICE, bob, carol)
        stage.wants("n2", bob, dave)
        members = MemberList(9, {"alice": (1, 0), "bob": (1, 2), "carol": (3, 0), "eve": (1, 0)})
        items = [ConversationItem(seq, "new_message", bytes) for seq in (2, 3)]
        stage.fanout.push_items(ConversationItems("default", "conv_1", 9, items), members)
        pushes = {
            node: [(one.version, sorted(one.topics)) for one in stage.nodes.got[node] if isinstance(one, ItemPush)]
            for node in ("n1", "n2")
        }
        assert pushes == {
            "n1": [(2, ["users/alice", "users/bob"]), (3, ["users/alice", "users/carol"])],
            "n2": [(2, ["users/bob"])],
        }


async def test_the_members_of_a_conversation_are_found_again_when_a_subscription_changes() -> None:
    async with staged() as stage:
        bob, dave = ("default", "users/bob"), ("default", "users/dave")
        members = MemberList(9, {"alice": (1, 0), "bob": (1, 2), "dave": (3, 0)})

        def pushed(seq: int) -> list[tuple[str, list[str]]]:
            before = {node: len(got) for node, got in stage.nodes.got.items()}
            item = ConversationItem(seq, "new_message", bytes)
            stage.fanout.push_items(ConversationItems("default", "conv_1", 9, [item]), members)
            return [
                (node, sorted(one.topics))
                for node, got in sorted(stage.nodes.got.items())
                for one in got[before.get(node, 0) :]
                if isinstance(one, ItemPush)
            ]

        stage.wants("n1", ALICE, bob)
        assert pushed(4) == [("n1", ["users/alice"])]
        stage.wants("n2", dave)
        assert pushed(5) == [("n1", ["users/alice"]), ("n2", ["users/dave"])]
        stage.fanout.apply_delta(RegistryDelta(interests=[("n1", ALICE, False)]))
        assert pushed(6) == [("n2", ["users/dave"])]
        assert pushed(2) == [("n1", ["users/bob"])]
