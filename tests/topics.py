"""Topics in Kafka, for the length of a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from kit.adapters.kafka.client import open_admin, read_url
from kit.adapters.kafka.event_log import create_topics
from kit.adapters.kafka.topics import full_name


@asynccontextmanager
async def topics(url: str, wanted: Mapping[str, int]) -> AsyncIterator[str]:
    """The URL, with topics of so many partitions until the block ends."""
    await create_topics(url, wanted)
    try:
        yield url
    finally:
        await asyncio.to_thread(_delete, url, wanted)


def _delete(url: str, wanted: Mapping[str, int]) -> None:
    found = read_url(url)
    admin = open_admin(found)
    try:
        admin.delete_topics([full_name(found, topic) for topic in wanted])
    finally:
        admin.close()
