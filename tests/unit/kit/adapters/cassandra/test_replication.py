"""A keyspace in which conditional writes decide has its copies in one data centre."""

from __future__ import annotations

from typing import Any

import pytest

from kit.adapters.cassandra.replication import check_one_data_centre
from kit.engine_url import CannotUse

NETWORK = "org.apache.cassandra.locator.NetworkTopologyStrategy"
SIMPLE = "org.apache.cassandra.locator.SimpleStrategy"


def cluster(replication: dict[str, str], *data_centres: str) -> Any:
    """Answers of a cluster whose first node, in the first of the data centres, is asked."""

    async def execute(cql: str) -> list[Any]:
        if "system_schema" in cql:
            return [(replication,)]
        return [(data_centres[0],)] if "system.local" in cql else [(name,) for name in data_centres[1:]]

    return execute


@pytest.mark.parametrize(
    ("replication", "data_centres"),
    [
        ({"class": NETWORK, "east": "3"}, ("east", "west")),
        ({"class": NETWORK, "east": "3", "west": "0"}, ("east", "west")),
        ({"class": SIMPLE, "replication_factor": "3"}, ("east", "east", "east")),
    ],
)
async def test_a_keyspace_in_one_data_centre_is_accepted(
    replication: dict[str, str], data_centres: tuple[str, ...]
) -> None:
    await check_one_data_centre(cluster(replication, *data_centres), "plaudit")


@pytest.mark.parametrize(
    ("replication", "data_centres"),
    [
        ({"class": NETWORK, "east": "3", "west": "1"}, ("east", "west")),
        ({"class": SIMPLE, "replication_factor": "3"}, ("east", "east", "west")),
    ],
)
async def test_a_keyspace_in_two_data_centres_is_refused_in_one_line(
    replication: dict[str, str], data_centres: tuple[str, ...]
) -> None:
    with pytest.raises(CannotUse, match="plaudit is replicated to east, west") as refusal:
        await check_one_data_centre(cluster(replication, *data_centres), "plaudit")
    assert "\n" not in str(refusal.value)
