"""Streams of a server, shared among callers and connections."""

from __future__ import annotations

import pytest

from kit.auth.access import ANONYMOUS
from kit.auth.caller import Caller
from kit.auth.tokens import NODE
from kit.errors import Overloaded, reason_of
from kit.limits.server_limits import ServerSettings
from kit.limits.stream_shares import StreamShares

ALICE, BOB = Caller("default", "alice"), Caller("default", "bob")
SERVICE = Caller("default", "", "reports")
LIMITS = ServerSettings(streams=10, streams_per_user=2, streams_per_service=4, streams_per_connection=3)


def refused(shares: StreamShares, who: Caller, connection: str) -> str:
    with pytest.raises(Overloaded) as caught:
        shares.enter(who, connection)
    assert reason_of(caught.value) == "TOO_MANY_STREAMS"
    assert caught.value.retry_after
    return str(caught.value)


def test_a_user_has_a_share_of_the_streams_and_others_get_the_rest() -> None:
    shares = StreamShares(LIMITS)
    for connection in ("a", "b"):
        shares.enter(ALICE, connection)
    assert "one user" in refused(shares, ALICE, "c")
    assert shares.enter(BOB, "a") is not None
    assert shares.enter(Caller("other", "alice"), "a") is not None  # another tenant's


def test_a_released_slot_can_be_used_again() -> None:
    shares = StreamShares(LIMITS)
    places = [shares.enter(ALICE, "a"), shares.enter(ALICE, "a")]
    assert places[0] is not None
    shares.leave(places[0])
    assert shares.enter(ALICE, "a") is not None
    assert shares.open == 2


def test_a_service_has_a_larger_share_over_several_connections() -> None:
    shares = StreamShares(LIMITS)
    for connection in ("a", "a", "a"):
        shares.enter(SERVICE, connection)
    assert "another one" in refused(shares, SERVICE, "a")
    shares.enter(SERVICE, "b")
    assert "one service" in refused(shares, SERVICE, "b")


def test_callers_without_a_token_share_one_number() -> None:
    shares = StreamShares(ServerSettings(streams=10, streams_without_token=2))
    for connection in ("a", "b"):
        shares.enter(ANONYMOUS, connection)
    assert "without a token" in refused(shares, ANONYMOUS, "c")
    assert shares.enter(ALICE, "c") is not None


def test_each_user_that_a_service_acts_for_has_its_own_share() -> None:
    shares = StreamShares(LIMITS)
    for user in ("u1", "u2"):
        for _ in range(2):
            shares.enter(Caller("default", user, "edge", unlimited=True), user)
    assert shares.open == 4


def test_the_server_is_full_at_its_total() -> None:
    shares = StreamShares(LIMITS)
    for number in range(10):
        shares.enter(Caller("default", f"u{number}"), f"c{number}")
    assert "the server" in refused(shares, ALICE, "another")


def test_nodes_are_not_counted() -> None:
    shares = StreamShares(LIMITS)
    node = Caller("default", "", "gateway", frozenset({NODE}))
    assert [shares.enter(node, "a") for _ in range(20)] == [None] * 20
