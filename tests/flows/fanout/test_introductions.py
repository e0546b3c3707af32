"""The nodes of a user's topic are announced to each other in the order of the stream, and gaps are marked."""

from __future__ import annotations

from collections.abc import Callable

from tests.flows.crowd import eventually
from tests.flows.fanout.fanout_system import FanoutSystem, GatewayNode, fixture_system, fixture_whole

__all__ = ["fixture_system", "fixture_whole"]
ALICE = ("default", "users/alice")


def received(node: GatewayNode) -> list[tuple[str, int]]:
    """The deliveries of a node on Alice's topic: other nodes with 0 or -1, changes with their versions."""
    own = node.registration.node_id
    deliveries = [one for _, one in node.receiver.got if (one.tenant, one.topic) == ALICE and one.key != own]
    return [("change" if one.type else one.key, one.version) for one in deliveries]


async def until(holds: Callable[[], bool]) -> None:
    async def there() -> bool:
        return holds()

    await eventually(there)


async def test_joins_and_leaves_are_announced_in_order_with_the_changes(whole: FanoutSystem) -> None:
    async def change(target: str) -> None:
        await whole.crowd.append([whole.crowd.toggle(("default", target), "alice", "👍")])

    one, two = await whole.node("n1"), await whole.node("n2")
    one.subscribe(ALICE)
    number = 0
    while not received(one):  # until the interest is known there are no subscribers
        number += 1
        await change(f"messages/before-{number}")
    two.subscribe(ALICE)
    await until(lambda: ("n2", 0) in received(one) and ("n1", 0) in received(two))
    assert not any(what == "change" for what, _ in received(two))
    before = received(one).index(("n2", 0))
    await change("messages/both")
    await until(lambda: received(two)[-1][0] == "change" and received(one)[-1][0] == "change")
    assert received(one)[before + 1 :] == received(two)[1:]
    two.registration.unsubscribe(*ALICE)
    await until(lambda: received(one)[-1] == ("n2", -1))
    await change("messages/one")
    await until(lambda: received(one)[-1][0] == "change")
    assert len([what for what, _ in received(two) if what == "change"]) == 1
