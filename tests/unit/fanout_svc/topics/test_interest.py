"""The interest of nodes, as the registry reports it."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from fanout_svc.domain import Node, Topic
from fanout_svc.topics.interest import Effects, Interest, RegistryDelta

A: Topic = ("default", "messages/a")
B: Topic = ("default", "messages/b")
N1 = Node("n1", "127.0.0.1:1", 1)
N2 = Node("n2", "127.0.0.1:2", 2)


def synced(*news: RegistryDelta) -> Interest:
    interest = Interest()
    interest.restart()
    for one in news:
        interest.apply(one)
    interest.apply(RegistryDelta(synced=True))
    return interest


def test_interest_that_begins_is_subscribed() -> None:
    interest = synced(RegistryDelta(up=[N1]))
    effects = interest.apply(RegistryDelta(interests=[("n1", A, True)]))
    assert effects == Effects(subscribed=(("n1", A),))
    assert set(interest.nodes_of(A)) == {"n1"}
    assert A in interest


def test_interest_that_ended_and_began_again_is_subscribed_again() -> None:
    interest = synced(RegistryDelta(up=[N1], interests=[("n1", A, True)]))
    effects = interest.apply(RegistryDelta(interests=[("n1", A, False), ("n1", A, True)]))
    assert effects == Effects(subscribed=(("n1", A),))


def test_interest_that_began_and_ended_is_not() -> None:
    interest = synced(RegistryDelta(up=[N1]))
    effects = interest.apply(RegistryDelta(interests=[("n1", A, True), ("n1", A, False)]))
    assert effects == Effects(ended=(A,))
    assert A not in interest


def test_a_node_that_is_gone_subscribes_to_nothing() -> None:
    interest = synced(RegistryDelta(up=[N1, N2], interests=[("n1", A, True), ("n2", A, True), ("n1", B, True)]))
    effects = interest.apply(RegistryDelta(down=["n1"]))
    assert effects == Effects(left=("n1",), ended=(B,))
    assert set(interest.nodes_of(A)) == {"n2"}


def test_a_node_that_attached_again_joins_again_and_has_no_topics_yet() -> None:
    interest = synced(RegistryDelta(up=[N1], interests=[("n1", A, True)]))
    again = Node("n1", "127.0.0.1:9", 5)
    assert interest.apply(RegistryDelta(down=["n1"], up=[again])) == Effects(left=("n1",), joined=(again,), ended=(A,))


def test_the_old_state_stays_until_a_new_watch_is_synced() -> None:
    interest = synced(RegistryDelta(up=[N1], interests=[("n1", A, True)]))
    interest.restart()
    assert interest.apply(RegistryDelta(up=[N1, N2])) == Effects()
    assert A in interest
    effects = interest.apply(RegistryDelta(interests=[("n2", B, True)], synced=True))
    assert effects == Effects(joined=(N2,), subscribed=(("n2", B),), ended=(A,))
    assert A not in interest


def test_a_new_watch_with_the_same_state_causes_no_snapshot() -> None:
    interest = synced(RegistryDelta(up=[N1], interests=[("n1", A, True)]))
    interest.restart()
    assert interest.apply(RegistryDelta(up=[N1], interests=[("n1", A, True)], synced=True)) == Effects()


def test_a_watch_that_breaks_before_it_is_synced_changes_no_state() -> None:
    interest = synced(RegistryDelta(up=[N1], interests=[("n1", A, True)]))
    interest.restart()
    interest.apply(RegistryDelta(up=[N2], interests=[("n2", B, True)]))
    interest.restart()
    assert interest.apply(RegistryDelta(up=[N1], interests=[("n1", A, True)], synced=True)) == Effects()


def test_interest_has_the_users_whose_own_topics_have_subscribers() -> None:
    alice, bob = ("default", "users/alice"), ("acme", "users/bob")
    interest = synced(
        RegistryDelta(up=[N1, N2], interests=[("n1", alice, True), ("n2", alice, True), ("n1", bob, True)])
    )
    assert (interest.users_of("default"), interest.users_of("acme")) == ({"alice"}, {"bob"})
    interest.apply(RegistryDelta(interests=[("n1", alice, False), ("n1", bob, False), ("n1", A, True)]))
    assert (interest.users_of("default"), interest.users_of("acme")) == ({"alice"}, set())
    interest.apply(RegistryDelta(down=["n2"]))
    assert not interest.users_of("default")


@given(st.integers(0, 100_000))
def test_a_follower_of_the_effects_always_has_the_same_state(seed: int) -> None:
    """Who follows the effects alone has joined exactly the nodes there are, and subscribed all they want."""
    rng = random.Random(seed)
    interest = Interest()
    nodes: dict[str, Node] = {}
    wanted: set[tuple[str, Topic]] = set()
    joined: dict[str, Node] = {}
    subscribed: set[tuple[str, Topic]] = set()
    interest.restart()
    interest.apply(RegistryDelta(synced=True))

    def follow(effects: Effects) -> None:
        for node_id in effects.left:
            del joined[node_id]
            subscribed.difference_update({pair for pair in subscribed if pair[0] == node_id})
        for node in effects.joined:
            joined[node.node_id] = node
        subscribed.update(effects.subscribed)

    for epoch in range(40):
        down, up, interests = [], [], []
        node_id = rng.choice(["n1", "n2", "n3"])
        if node_id in nodes and rng.random() < 0.3:
            down.append(node_id)
            del nodes[node_id]
            wanted = {pair for pair in wanted if pair[0] != node_id}
        if node_id not in nodes and rng.random() < 0.7:
            nodes[node_id] = Node(node_id, "127.0.0.1:1", epoch)
            up.append(nodes[node_id])
        if node_id in nodes:
            for topic in rng.sample([A, B], rng.randint(0, 2)):
                want = (node_id, topic) not in wanted
                wanted ^= {(node_id, topic)}
                interests.append((node_id, topic, want))
        if rng.random() < 0.8:
            follow(interest.apply(RegistryDelta(down, up, interests)))
        else:  # the watch broke before this change, and a new one has the complete state
            interest.restart()
            follow(interest.apply(RegistryDelta(up=list(nodes.values()))))
            follow(interest.apply(RegistryDelta(interests=[(*pair, True) for pair in wanted], synced=True)))
        assert joined == nodes
        assert set(interest.pairs()) == wanted
        assert subscribed >= wanted
        assert {topic for _, topic in wanted} == {topic for topic in (A, B) if topic in interest}
