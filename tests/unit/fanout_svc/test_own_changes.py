"""What a member changes for itself goes to its own subscribers, at most once a second for each conversation."""

from __future__ import annotations

from fanout_svc.conversation_pushes import OwnChange, UnkeptPush
from fanout_svc.own_changes import OwnChangePushes
from kit.clock import ManualClock
from kit.tasks import background
from tests.unit.fanout_svc.stage import Stage

ALICE, BOB = ("acme", "users/alice"), ("acme", "users/bob")


def change(version: int, user: str = "alice", conversation_id: str = "conv_1", tenant: str = "acme") -> OwnChange:
    return OwnChange(tenant, conversation_id, user, "membership_changed", version, lambda: f"{version}".encode())


class Subscribers:
    """A node with subscribers of alice and bob."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.stage.wants("n1", ALICE, BOB)
        self.clock = ManualClock()
        self.changes = OwnChangePushes(self.stage.fanout.interest, self.stage.nodes, self.clock)

    @property
    def pushes(self) -> list[UnkeptPush]:
        """What the node got."""
        return [one for one in self.stage.nodes.got["n1"] if isinstance(one, UnkeptPush)]


def test_a_change_goes_to_the_member_alone_who_has_subscribers() -> None:
    on = Subscribers()
    on.changes.push([change(3), change(4, "carol"), change(5, tenant="other")])
    (push,) = on.pushes
    assert (push.topic, push.topics, push.payload) == (ALICE, ("users/alice",), b"3")
    assert (push.kind, push.key, push.version) == ("membership_changed", "membership_changed conv_1", 3)
    assert push.is_state


async def test_within_a_second_the_newest_change_of_a_conversation_replaces_the_others() -> None:
    on = Subscribers()
    async with background(on.changes.run()):
        on.changes.push([change(3), change(4), change(6), change(5)])
        on.changes.push([change(7, conversation_id="conv_2"), change(8, "bob")])
        assert [push.version for push in on.pushes] == [3, 7, 8]
        on.clock.advance(1)
        await on.stage.until(lambda: len(on.pushes) == 4)
    assert (on.pushes[-1].version, on.pushes[-1].payload) == (6, b"6")
