"""Which live nodes host which service."""

from __future__ import annotations

from kit.cluster.nodes import NodeView, StaticNodes
from plaudit.session.v1 import session_pb2
from plaudit.session.v1 import session_registry_service_pb2 as pb

ECHO = "plaudit.echo.v1.EchoService"
OTHER = "plaudit.other.v1.OtherService"


def up(*names: str, services: tuple[str, ...] = (ECHO,), synced: bool = False) -> pb.WatchResponse:
    nodes = [session_pb2.Node(node_id=name, address=f"{name}:1", services=services) for name in names]
    return pb.WatchResponse(up=nodes, synced=synced)


def test_one_address_can_host_all_services_or_each_service_has_its_own() -> None:
    assert StaticNodes("a:1").addresses(ECHO) == ("a:1",)
    named = StaticNodes("a:1", services={ECHO: ["b:1", "c:1"]})
    assert (named.addresses(ECHO), named.addresses(OTHER)) == (("b:1", "c:1"), ("a:1",))


def test_nodes_are_found_by_the_services_they_host_in_the_same_order_everywhere() -> None:
    view = NodeView()
    view.apply(up("n2", "n1"), 0.0)
    view.apply(up("n3", services=(OTHER,), synced=True), 0.0)
    assert view.addresses(ECHO, 0.0) == ("n1:1", "n2:1")
    assert view.addresses(OTHER, 0.0) == ("n3:1",)
    assert view.addresses("plaudit.nobody.v1.NobodyService", 0.0) == ()


def test_a_node_that_is_down_is_removed_immediately() -> None:
    view = NodeView()
    view.apply(up("n1", "n2", synced=True), 0.0)
    view.apply(pb.WatchResponse(down=["n1"]), 0.0)
    assert view.addresses(ECHO, 0.0) == ("n2:1",)


def test_a_node_that_attaches_again_is_never_missing() -> None:
    view = NodeView()
    view.apply(up("n1", synced=True), 0.0)
    again = up("n1")
    again.down.append("n1")
    view.apply(again, 0.0)
    assert view.addresses(ECHO, 0.0) == ("n1:1",)


def test_nodes_stay_while_the_registry_is_unavailable() -> None:
    view = NodeView(grace=5.0)
    view.apply(up("n1", synced=True), 0.0)
    view.restart()
    assert view.addresses(ECHO, 1_000.0) == ("n1:1",)


def test_a_registry_that_has_just_started_without_nodes_does_not_remove_the_known_nodes() -> None:
    view = NodeView(grace=5.0)
    view.apply(up("n1", "n2", synced=True), 0.0)
    view.restart()
    view.apply(up(synced=True), 100.0)
    assert view.addresses(ECHO, 104.9) == ("n1:1", "n2:1")
    view.apply(up("n1"), 104.9)
    assert view.addresses(ECHO, 105.0) == ("n1:1",)


def test_a_new_watch_does_not_restart_the_grace_of_a_missing_node() -> None:
    view = NodeView(grace=5.0)
    view.apply(up("n1", synced=True), 0.0)
    for moment in (10.0, 12.0, 14.0):
        view.restart()
        view.apply(up(synced=True), moment)
    assert view.addresses(ECHO, 15.0) == ()


def test_a_missing_node_that_the_registry_reports_down_is_removed_immediately() -> None:
    view = NodeView(grace=5.0)
    view.apply(up("n1", synced=True), 0.0)
    view.restart()
    view.apply(up(synced=True), 1.0)
    view.apply(pb.WatchResponse(down=["n1"]), 1.0)
    assert view.addresses(ECHO, 1.0) == ()


def test_a_restarted_process_replaces_the_one_at_its_address() -> None:
    view = NodeView(grace=5.0)
    view.apply(up("n1", synced=True), 0.0)
    view.restart()
    fresh = pb.WatchResponse(up=[session_pb2.Node(node_id="n9", address="n1:1", services=[OTHER])], synced=True)
    view.apply(fresh, 1.0)
    assert (view.addresses(ECHO, 1.0), view.addresses(OTHER, 1.0)) == ((), ("n1:1",))
