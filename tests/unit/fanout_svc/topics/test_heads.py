"""The newest states of lately changed targets."""

from __future__ import annotations

from fanout_svc.domain import Head, Topic
from fanout_svc.topics.heads import Heads

A: Topic = ("default", "messages/a")


def head(version: int) -> Head:
    return version, ("👍",), (version,)


def test_the_newest_state_of_a_target_is_stored() -> None:
    heads = Heads(10)
    assert (heads.of(A), heads.version_of(A)) == (None, 0)
    heads.update(A, head(1))
    heads.update(A, head(2))
    assert (heads.of(A), heads.version_of(A)) == (head(2), 2)


def test_no_more_than_two_generations_are_kept() -> None:
    heads = Heads(10)
    heads.update(A, head(1))
    for n in range(11):
        heads.update(("default", f"messages/{n}"), head(1))
    assert heads.of(A) == head(1)
    for n in range(11):
        heads.update(("acme", f"messages/{n}"), head(1))
    assert (heads.of(A), heads.version_of(A)) == (None, 0)
    assert heads.of(("acme", "messages/3")) == head(1)


def test_after_missed_changes_a_state_is_only_a_version_that_was_reached() -> None:
    heads = Heads(10)
    heads.update(A, head(3))
    heads.invalidate()
    assert (heads.of(A), heads.version_of(A)) == (None, 3)
    heads.update(A, head(5))
    assert (heads.of(A), heads.version_of(A)) == (head(5), 5)
    heads.invalidate()
    heads.invalidate()
    assert heads.of(A) is None
