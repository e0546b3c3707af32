"""Which connection is evicted for another."""

from __future__ import annotations

from gateway.listener.waiting_connections import WaitingConnections


class Connection:
    def __init__(self, address: str) -> None:
        self.address = address
        self.is_dropped = False

    def drop(self) -> None:
        self.is_dropped = True


def waiting(*addresses: str, min_wait: float = 1.0) -> tuple[WaitingConnections, list[Connection]]:
    """Connections that began to wait at 0, 1, 2, …"""
    connections, all_ = [Connection(address) for address in addresses], WaitingConnections(min_wait)
    for since, connection in enumerate(connections):
        all_.add(connection, since)
    return all_, connections


def test_the_connection_with_the_longest_wait_is_evicted() -> None:
    all_, (first, second) = waiting("a", "a")
    assert all_.evict("a", 10)
    assert (first.is_dropped, second.is_dropped, len(all_)) == (True, False, 1)


def test_a_connection_with_a_short_wait_is_not_evicted() -> None:
    all_, (first,) = waiting("a")
    assert not all_.evict("a", 0.9)
    assert not first.is_dropped
    assert all_.evict("a", 1.0)


def test_a_served_connection_is_not_evicted_and_waits_again_afterwards() -> None:
    all_, (first, second) = waiting("a", "a")
    all_.remove(first)
    all_.add(first, 5)
    assert all_.evict("a", 10)
    assert (first.is_dropped, second.is_dropped) == (False, True)
    all_.remove(first)
    all_.remove(first)
    assert not all_.evict("a", 10)


def test_an_address_evicts_no_connection_of_another() -> None:
    all_, (first,) = waiting("a")
    assert not all_.evict("b", 10)
    assert not first.is_dropped


def test_a_full_port_evicts_at_the_address_with_most() -> None:
    all_, (few, *many) = waiting("few", "many", "many", "many")
    assert all_.evict_for("new", 0, 10)
    assert [connection.is_dropped for connection in (few, *many)] == [False, True, False, False]


def test_an_address_evicts_no_connection_of_an_address_with_fewer() -> None:
    all_, connections = waiting("a", "a")
    assert not all_.evict_for("b", 2, 10)
    assert not any(connection.is_dropped for connection in connections)
    assert all_.evict_for("a", 2, 10), "its own longest wait is evicted"
