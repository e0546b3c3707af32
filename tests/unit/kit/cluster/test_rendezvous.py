"""Rendezvous hashing."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.cluster.rendezvous import pick

ROOT = Path(__file__).parents[4]
NODES = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=8, unique=True).map(tuple)


@given(st.text(), NODES, st.randoms())
def test_the_order_in_which_nodes_are_named_does_not_matter(key: str, nodes: tuple[str, ...], random: object) -> None:
    shuffled = list(nodes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert pick(key, tuple(shuffled)) == pick(key, nodes)


@given(st.text(), NODES, st.data())
def test_only_the_keys_of_a_node_that_leaves_move(key: str, nodes: tuple[str, ...], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(nodes))
    left = tuple(node for node in nodes if node != gone)
    before = pick(key, nodes)
    if left and before != gone:
        assert pick(key, left) == before


@given(st.text(), NODES, st.text(min_size=13, max_size=13))
def test_a_node_that_joins_gets_keys_and_moves_none_between_the_others(
    key: str, nodes: tuple[str, ...], comer: str
) -> None:
    assert pick(key, (*nodes, comer)) in (pick(key, nodes), comer)


def test_keys_are_spread_evenly_also_over_addresses_that_look_alike() -> None:
    nodes = tuple(f"10.0.0.{i}:50051" for i in range(1, 6))
    shares = Counter(pick(f"messages/{i}", nodes) for i in range(20_000))
    assert all(3_600 < shares[node] < 4_400 for node in nodes)


def test_the_keys_of_a_lost_node_move_to_all_others_evenly() -> None:
    nodes = tuple(f"node-{i}" for i in range(5))
    lost = [f"messages/{i}" for i in range(20_000) if pick(f"messages/{i}", nodes) == "node-0"]
    shares = Counter(pick(key, nodes[1:]) for key in lost)
    assert all(abs(count - len(lost) / 4) < len(lost) / 4 * 0.15 for count in shares.values())


def test_every_process_picks_the_same_node() -> None:
    nodes = ("a:1", "b:1", "c:1")
    keys = [f"messages/{i}" for i in range(50)]
    script = f"from kit.cluster.rendezvous import pick; print([pick(key, {nodes!r}) for key in {keys!r}])"
    answer = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == str([pick(key, nodes) for key in keys])


def test_without_nodes_no_node_is_picked() -> None:
    with pytest.raises(LookupError):
        pick("key", ())
