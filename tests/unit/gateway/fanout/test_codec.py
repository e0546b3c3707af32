"""Deliveries of fan-out as values: in parts, of which each is delivered without a pause."""

from __future__ import annotations

from gateway.fanout.codec import deliveries_from_pb
from plaudit.gateway.v1 import node_service_pb2 as pb


def test_a_delivery_of_many_topics_comes_in_parts_with_one_payload() -> None:
    topics = [f"users/u{number}" for number in range(8)]
    message = pb.Delivery(tenant="acme", topic=topics[0], type="t", payload=b"x", other_topics=topics[1:])
    for limit, sizes in ((1, [1] * 8), (3, [3, 3, 2]), (4, [4, 4]), (8, [8]), (9, [8])):
        parts = list(deliveries_from_pb(message, limit))
        assert [1 + len(part.other_topics) for part in parts] == sizes
        assert [topic for part in parts for topic in (part.topic, *part.other_topics)] == topics
        assert len({id(part.payload) for part in parts}) == 1
