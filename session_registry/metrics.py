"""Metrics of the registry."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import Counter, Gauge

NODES = Gauge("plaudit_registry_nodes", "Nodes attached.")
SESSIONS = Gauge("plaudit_registry_sessions", "Live sessions.")
TOPICS = Gauge("plaudit_registry_topics", "Subscribed topics, each counted per node that subscribes.")
FENCES = Counter("plaudit_registry_fences", "Sessions that a later login has replaced.")
LEADS = Gauge("plaudit_registry_leads", "1 while this registry leads.")
TERMS = Counter("plaudit_registry_terms", "Times this registry began to lead.")
ROUTES_WAITING = Gauge("plaudit_registry_routes_waiting", "Routes that are not written yet.")


def show(sizes: Callable[[], tuple[int, int, int]]) -> None:
    """Reads nodes, sessions and topics from `sizes` whenever metrics are collected."""
    NODES.set_function(lambda: sizes()[0])
    SESSIONS.set_function(lambda: sizes()[1])
    TOPICS.set_function(lambda: sizes()[2])
