"""Leases, owners and interest, decided without a clock or a socket."""

from __future__ import annotations

import pytest

from session_registry.domain import (
    Delta,
    Effects,
    Instant,
    Interest,
    Limits,
    Node,
    NodeUpdate,
    Session,
    Topic,
)
from session_registry.errors import LeaseExpired, LimitReached, Replaced
from session_registry.table import Table, next_epoch
from tests.unit.session_registry.table_values import NOON, ROOM, ids, login, node


def after(seconds: float) -> Instant:
    return Instant(NOON.micros + int(seconds * 1e6), seconds)


@pytest.fixture(name="table")
def fixture_table() -> Table:
    return Table(lease=10.0)


def attached(table: Table, name: str, at: Instant = NOON) -> int:
    found, _ = table.attach(node(name), at)
    return found.epoch


def test_epochs_grow_also_when_the_clock_is_set_back() -> None:
    assert next_epoch(7, 100) == 100
    assert next_epoch(100, 7) == 101


def test_a_later_login_of_the_same_device_fences_the_earlier_one(table: Table) -> None:
    one, two = attached(table, "n1"), attached(table, "n2")
    table.apply_update("n1", one, NodeUpdate(opened=(login("s1"),)), NOON)
    effects = table.apply_update("n2", two, NodeUpdate(opened=(login("s2"),)), NOON)
    assert ids(effects.fenced) == [("n1", "s1")]
    assert ids(table.sessions_of("acme", "alice")) == [("n2", "s2")]


def test_devices_users_and_tenants_do_not_fence_each_other(table: Table) -> None:
    epoch = attached(table, "n1")
    update = (login("s1"), login("s2", "laptop"), login("s3", user="bob"), Session("s4", "other", "alice", "phone"))
    assert table.apply_update("n1", epoch, NodeUpdate(opened=update), NOON).fenced == ()


def test_sessions_without_a_device_have_one_each(table: Table) -> None:
    epoch = attached(table, "n1")
    effects = table.apply_update("n1", epoch, NodeUpdate(opened=(login("s1", ""), login("s2", ""))), NOON)
    assert effects.fenced == ()
    assert len(table.sessions_of("acme", "alice")) == 2


def test_a_session_without_a_device_that_moves_is_fenced_at_its_old_node(table: Table) -> None:
    one, two = attached(table, "n1"), attached(table, "n2")
    table.apply_update("n1", one, NodeUpdate(opened=(login("s1", ""),)), NOON)
    effects = table.apply_update("n2", two, NodeUpdate(opened=(login("s1", ""),)), NOON)
    assert ids(effects.fenced) == [("n1", "s1")]


def test_a_node_that_lost_a_session_cannot_close_it_at_its_new_node(table: Table) -> None:
    one, two = attached(table, "n1"), attached(table, "n2")
    table.apply_update("n1", one, NodeUpdate(opened=(login("s1"),)), NOON)
    table.apply_update("n2", two, NodeUpdate(opened=(login("s1"),)), NOON)
    table.apply_update("n1", one, NodeUpdate(closed=("s1",)), NOON)
    assert ids(table.sessions_of("acme", "alice")) == [("n2", "s1")]


def test_a_session_reported_again_after_a_break_does_not_fence_a_newer_one(table: Table) -> None:
    one, two = attached(table, "n1"), attached(table, "n2")
    (old,) = table.apply_update("n1", one, NodeUpdate(opened=(login("s1"),)), NOON).granted
    table.expire(10.0)
    two = attached(table, "n2", after(11))
    table.apply_update("n2", two, NodeUpdate(opened=(login("s2"),)), after(11))
    one = attached(table, "n1", after(12))
    effects = table.apply_update("n1", one, NodeUpdate(opened=(login("s1", epoch=old.epoch),)), after(12))
    assert ids(effects.fenced) == [("n1", "s1")]
    assert ids(effects.granted) == [("n1", "s1")]
    assert ids(table.sessions_of("acme", "alice")) == [("n2", "s2")]


def test_after_a_restart_the_newest_login_stays_in_any_order_of_reports() -> None:
    for order in (("s1", "s2"), ("s2", "s1")):
        fresh = Table(lease=10.0)
        epochs = {"s1": NOON.micros, "s2": NOON.micros + 5}
        for session_id in order:
            mark = attached(fresh, f"node-of-{session_id}")
            update = NodeUpdate(opened=(login(session_id, epoch=epochs[session_id]),))
            fresh.apply_update(f"node-of-{session_id}", mark, update, NOON)
        assert [session.session_id for session in fresh.sessions_of("acme", "alice")] == ["s2"]


def test_a_login_after_a_restart_is_newer_than_every_session_reported_again(table: Table) -> None:
    epoch = attached(table, "n1")
    ahead = NOON.micros + 10**9
    table.apply_update("n1", epoch, NodeUpdate(opened=(login("s1", epoch=ahead),)), NOON)
    effects = table.apply_update("n1", epoch, NodeUpdate(opened=(login("s2"),)), NOON)
    assert [session.session_id for session in effects.fenced] == ["s1"]
    assert effects.granted[0].epoch > ahead


def test_a_renewed_lease_continues_and_another_one_ends(table: Table) -> None:
    one, two = attached(table, "n1"), attached(table, "n2")
    table.apply_update("n2", two, NodeUpdate(opened=(login("s2"),), subscribed=(ROOM,)), NOON)
    table.apply_update("n1", one, NodeUpdate(), after(9))
    assert table.expire(9.999) == Effects()
    assert table.expire(10.0).delta == Delta(down=("n2",))
    assert table.sessions_of("acme", "alice") == ()
    assert list(table.interests()) == []
    assert table.expire(19.0).delta == Delta(down=("n1",))


def test_a_report_for_a_node_that_is_gone_is_refused(table: Table) -> None:
    epoch = attached(table, "n1")
    table.expire(10.0)
    with pytest.raises(LeaseExpired):
        table.apply_update("n1", epoch, NodeUpdate(), after(11))


def test_an_attachment_ends_with_the_next_one_and_cannot_report_or_detach(table: Table) -> None:
    old = attached(table, "n1")
    table.apply_update("n1", old, NodeUpdate(opened=(login("s1"),), subscribed=(ROOM,)), NOON)
    found, effects = table.attach(node("n1"), NOON)
    assert effects.delta == Delta(down=("n1",), up=(found,))
    assert found.epoch > old
    assert table.sizes() == (1, 0, 0)
    with pytest.raises(Replaced):
        table.apply_update("n1", old, NodeUpdate(), NOON)
    assert table.leave("n1", old) == Effects()
    assert table.leave("n1", found.epoch).delta == Delta(down=("n1",))


def test_a_broken_stream_shortens_a_lease_and_never_lengthens_it(table: Table) -> None:
    epoch = attached(table, "n1")
    table.shorten_lease("n1", epoch, 99.0)
    table.shorten_lease("n1", epoch, 1.0)
    assert table.expire(1.0).delta.down == ("n1",)


def test_no_lease_runs_while_the_registry_is_paused(table: Table) -> None:
    attached(table, "n1")
    table.extend_leases(30.0)
    assert table.expire(39.0) == Effects()
    assert table.expire(40.0).delta.down == ("n1",)


def test_a_repeated_subscription_is_one_subscription(table: Table) -> None:
    epoch = attached(table, "n1")
    effects = table.apply_update("n1", epoch, NodeUpdate(subscribed=(ROOM, ROOM)), NOON)
    assert effects.delta.interests == (Interest("n1", ROOM, True),)
    assert table.apply_update("n1", epoch, NodeUpdate(subscribed=(ROOM,)), NOON).delta == Delta()
    assert table.apply_update("n1", epoch, NodeUpdate(unsubscribed=(ROOM, ROOM)), NOON).delta.interests == (
        Interest("n1", ROOM, False),
    )


def test_an_update_above_a_limit_changes_nothing() -> None:
    table = Table(lease=10.0, limits=Limits(nodes=1, sessions=1, topics=1))
    epoch = attached(table, "n1")
    with pytest.raises(LimitReached):
        table.attach(node("n2"), NOON)
    with pytest.raises(LimitReached):
        table.apply_update("n1", epoch, NodeUpdate(opened=(login("s1"), login("s2", "laptop"))), NOON)
    with pytest.raises(LimitReached):
        table.apply_update("n1", epoch, NodeUpdate(subscribed=(ROOM, Topic("acme", "messages/2"))), NOON)
    assert table.sizes() == (1, 0, 0)


def test_a_node_of_the_previous_leader_has_one_lease_to_attach_again_and_no_sessions(table: Table) -> None:
    before = Node("n1", "n1:1", (), epoch=NOON.micros + 50)
    assert table.restore(before, 0.0).delta == Delta(up=(before,))
    assert table.restore(before, 0.0) == Effects()
    with pytest.raises(Replaced):
        table.apply_update("n1", NOON.micros, NodeUpdate(), NOON)
    found, effects = table.attach(node("n1"), after(9))
    assert effects.delta == Delta(down=("n1",), up=(found,))
    assert found.epoch > before.epoch
    table.restore(Node("n2", "n2:1", (), 1), 0.0)
    assert table.expire(10.0).delta.down == ("n2",)


def test_epochs_begin_above_the_term() -> None:
    table = Table(lease=10.0, epoch=NOON.micros + 10**9)
    assert attached(table, "n1") == NOON.micros + 10**9 + 1


def test_an_epoch_that_no_leader_can_have_assigned_is_replaced(table: Table) -> None:
    epoch = attached(table, "n1")
    now = Instant(NOON.micros, 0.0, NOON.micros + 3_000_000)
    guess = NOON.micros + 60_000_000
    (update,) = table.apply_update("n1", epoch, NodeUpdate(opened=(login("s1", epoch=guess),)), now).granted
    assert epoch < update.epoch <= now.ceiling
    (later,) = table.apply_update("n1", epoch, NodeUpdate(opened=(login("s2"),)), now).granted
    assert update.epoch < later.epoch <= now.ceiling
    assert table.highest_epoch() <= now.ceiling


def test_effects_name_the_ended_sessions_and_closing_is_idempotent(table: Table) -> None:
    epoch = attached(table, "n1")
    table.apply_update("n1", epoch, NodeUpdate(opened=(login("s1"), login("s2", "laptop"), login("s3", ""))), NOON)
    assert ids(table.apply_update("n1", epoch, NodeUpdate(closed=("s1", "s1", "s9")), NOON).ended) == [("n1", "s1")]
    assert ids(table.apply_update("n1", epoch, NodeUpdate(opened=(login("s2", "tablet"),)), NOON).ended) == [
        ("n1", "s2")
    ]
    assert set(ids(table.leave("n1", epoch).ended)) == {("n1", "s2"), ("n1", "s3")}
