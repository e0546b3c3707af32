"""A client goes on when its token ends: it renews before, or connects again with another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from plaudit_client import Options, PlauditError, connect
from plaudit_client import effects as fx
from tests.unit.client.protocol_driver import ProtocolDriver
from tests.unit.client.scripted_server import Peer, scripted_server

FAST = Options(backoff_floor=0.01, backoff_ceiling=0.05, dial_timeout=1)
EXPIRED = "TOKEN_EXPIRED"


def ready(seconds: float, **options: Any) -> ProtocolDriver:
    """Connected with a token that ends after so many seconds."""
    driver = ProtocolDriver(can_renew=True, **options).start().open()
    driver.welcome(server_time_ms="5000", token_expire_time_ms=str(5000 + round(seconds * 1000)))
    driver.effects.clear()
    return driver


def renewed(driver: ProtocolDriver, seconds: float) -> ProtocolDriver:
    [frame] = driver.sent("renew_token")
    times = {"server_time_ms": "9000", "token_expire_time_ms": str(9000 + round(seconds * 1000))}
    return driver.receive("token_renewed", id=frame["id"], **times)


def offer(driver: ProtocolDriver, token: str) -> ProtocolDriver:
    driver.effects += driver.protocol.renew(token, driver.now)
    return driver


@pytest.mark.parametrize(("seconds", "asked_after"), [(4.0, 3.5), (80.0, 70.0), (3600.0, 3570.0)])
def test_a_new_token_is_requested_shortly_before_the_old_one_ends(seconds: float, asked_after: float) -> None:
    # A client that receives nothing for a minute disconnects, hence the heartbeat.
    driver = ProtocolDriver(can_renew=True).start().open()
    driver.welcome(
        server_time_ms="5000", token_expire_time_ms=str(5000 + round(seconds * 1000)), heartbeat_seconds=36000
    )
    assert driver.run_until(fx.RenewToken) == pytest.approx(asked_after)


def test_the_next_renewal_is_scheduled_by_the_end_of_the_new_token() -> None:
    driver = ready(4.0)
    driver.run_until(fx.RenewToken)
    renewed(offer(driver, "two"), 8.0)
    assert driver.run_until(fx.RenewToken) == pytest.approx(7.0)


def test_if_there_is_no_new_token_yet_it_is_requested_again_before_the_old_one_ends() -> None:
    driver = ready(8.0)
    assert driver.run_until(fx.RenewToken) == pytest.approx(7.0)
    assert offer(driver, "").run_until(fx.RenewToken) == pytest.approx(0.5)
    [frame] = offer(driver, "bad").sent("renew_token")
    driver.receive("error", id=frame["id"], code="UNAUTHENTICATED", reason="INVALID_TOKEN", message="no")
    assert driver.run_until(fx.RenewToken) == pytest.approx(0.25)
    assert driver.take(fx.Ended) == []


def test_a_token_without_a_stated_end_is_not_renewed() -> None:
    driver = ProtocolDriver(can_renew=True).ready().wait(59)
    assert driver.take(fx.RenewToken) == []


def test_a_token_that_is_a_text_is_never_renewed() -> None:
    driver = ProtocolDriver().start().open().welcome(server_time_ms="5000", token_expire_time_ms="9000")
    assert driver.wait(10).take(fx.RenewToken) == []


def test_after_the_end_of_a_token_the_client_connects_again_and_sends_its_calls() -> None:
    driver = ready(4.0)
    asked = driver.call(op_id="a")
    driver.sent()
    driver.lose(4500, reason=EXPIRED)
    assert driver.take(fx.Ended) == []
    driver.again()
    assert [frame["id"] for frame in driver.sent("toggle_reaction")] == [asked]


def test_a_token_that_has_expired_before_it_was_in_force_is_replaced_once() -> None:
    driver = ProtocolDriver(can_renew=True).start().open().lose(4500, reason=EXPIRED)
    assert driver.take(fx.Ended) == []
    driver.run_until(fx.Dial)
    [ended] = driver.open().lose(4500, reason=EXPIRED).take(fx.Ended)
    assert ended.error is not None
    assert (ended.error.code, ended.error.reason) == ("UNAUTHENTICATED", EXPIRED)


@pytest.mark.parametrize(
    ("can_renew", "reason", "said", "message"),
    [
        (False, EXPIRED, EXPIRED, "the token has expired"),
        (True, "TOKEN_REVOKED", "TOKEN_REVOKED", "the token was revoked"),
        (True, "INVALID_TOKEN", "INVALID_TOKEN", "the token is missing or not valid"),
        (True, "", "BAD_TOKEN", "closed with 4500"),
    ],
)
def test_every_other_end_of_a_token_is_final_and_explained_in_a_sentence(
    can_renew: bool, reason: str, said: str, message: str
) -> None:
    driver = ProtocolDriver(can_renew=can_renew).ready().lose(4500, reason=reason)
    [ended] = driver.take(fx.Ended)
    assert ended.error is not None
    assert (ended.error.code, ended.error.reason, ended.error.message) == ("UNAUTHENTICATED", said, message)


def tokens(*given: str | Exception) -> Callable[[], str]:
    left: Iterator[str | Exception] = iter(given)

    def next_one() -> str:
        one = next(left)
        if isinstance(one, Exception):
            raise one
        return one

    return next_one


async def test_a_client_renews_on_the_open_socket_with_the_token_of_its_callable() -> None:
    heard: list[str] = []
    both = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.welcome(token_seconds=0.4)
        while len(heard) < 2:
            frame = await peer.receive("renew_token")
            heard.append(frame["token"])
            await peer.send("token_renewed", id=frame["id"], server_time_ms="1000", token_expire_time_ms="1400")
        both.set()
        await peer.ack(await peer.receive("toggle_reaction"))

    given = iter(["one", "two", "three"])

    async def fresh() -> str:
        return next(given, "four")

    async with scripted_server(script) as server, connect(server.url, fresh, options=FAST) as client:
        await asyncio.wait_for(both.wait(), 5)
        assert (await client.toggle("messages/1", "👍")).on
    assert heard == ["two", "three"]
    assert len(server.requests) == 1


async def test_no_call_is_lost_when_a_token_expires() -> None:
    async def expire(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("toggle_reaction")
        await peer.close(4500, EXPIRED)

    async def answer(peer: Peer) -> None:
        await peer.welcome()
        await peer.ack(await peer.receive("toggle_reaction"), version=7)
        await peer.stay()

    async with (
        scripted_server(expire, answer) as server,
        connect(server.url, tokens("one", "two"), options=FAST) as client,
    ):
        assert (await client.toggle("messages/1", "👍")).version == 7
    assert [request.headers["Authorization"] for request in server.requests] == ["Bearer one", "Bearer two"]


async def test_a_callable_that_fails_later_is_called_again_and_one_that_raises_plaudit_error_ends_the_client() -> None:
    async def expire(peer: Peer) -> None:
        await peer.welcome()
        await peer.close(4500, EXPIRED)

    async def answer(peer: Peer) -> None:
        await peer.welcome()
        await peer.ack(await peer.receive("toggle_reaction"))
        await peer.close(4500, EXPIRED)

    final = PlauditError("UNAUTHENTICATED", "LOGGED_OUT", "there is no session any more")
    source = tokens("one", RuntimeError("the vault is closed"), OSError("still"), "two", final)
    async with (
        scripted_server(expire, answer) as server,
        asyncio.timeout(10),
        connect(server.url, source, options=FAST) as client,
    ):
        assert (await client.toggle("messages/1", "👍")).on
        with pytest.raises(PlauditError, match="LOGGED_OUT"):
            await client.toggle("messages/1", "👍")


async def test_a_client_with_a_fixed_token_ends_when_it_expires() -> None:
    async def expire(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive("toggle_reaction")
        await peer.close(4500, EXPIRED)

    async with scripted_server(expire) as server, connect(server.url, "one", options=FAST) as client:
        with pytest.raises(PlauditError, match=EXPIRED):
            await client.toggle("messages/1", "👍")
