"""How many processes of each kind a mesh has, and which of them share a folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from stack.mesh.plan import MeshOptions, common_environment, free_ports, node_program, plan_nodes
from stack.settings.model import PREFIX, SERVICES, Settings, load

RECORDS, HOT, EVENTS = "cassandra://c1/x", "redis://r1/0", "kafka://k1/x"
USERS = "postgresql://p1/x"


@pytest.mark.parametrize(
    ("urls", "each"),
    [
        ({"records": RECORDS, "hot": HOT, "events": EVENTS, "users": USERS}, 2),
        ({"records": RECORDS, "events": EVENTS, "users": USERS}, 2),
        ({"records": RECORDS, "hot": HOT}, 1),
        ({"hot": HOT}, 1),
        ({}, 1),
    ],
    ids=lambda given: "+".join(given) or "files" if isinstance(given, dict) else "",
)
def test_services_run_twice_where_they_share_no_file(urls: dict[str, str], each: int, tmp_path: Path) -> None:
    settings = Settings.model_validate({"data": tmp_path, **urls})
    nodes = plan_nodes(settings, MeshOptions(), free_ports())
    assert Counter(node.service for node in nodes) == {name: 2 if name == "gateway" else each for name in SERVICES}
    folders = {node_program(settings, node, {}).environment["PLAUDIT_DATA"] for node in nodes}
    assert len(folders) == (len(nodes) if each == 2 else 1)


def test_there_is_one_node_of_conversations_where_users_are_in_a_file(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data": tmp_path, "records": RECORDS, "events": EVENTS})
    nodes = Counter(node.service for node in plan_nodes(settings, MeshOptions(), free_ports()))
    assert (nodes["message_svc"], nodes["reaction_svc"]) == (1, 2)


def test_envoy_is_one_address_that_may_have_all_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}GATEWAY__SOCKET__CONNECTIONS", "30000")
    settings = load()
    for name, value in common_environment(settings, plan_nodes(settings, MeshOptions(), free_ports()), None).items():
        monkeypatch.setenv(name, value)
    gateway = load().gateway
    assert gateway.socket.connections == 30_000
    assert gateway.connections_per_address == gateway.socket.idle_per_address == 30_000
    assert gateway.handshakes_share == 1
