"""The reaction store on Redis and Cassandra."""

from __future__ import annotations

import pytest

from reaction_svc.ports import ReactionStore
from tests.contract.cassandra_place import Place, fixture_keyspace, fixture_place
from tests.contract.reaction_store import Engine, ReactionStoreContract

__all__ = ["fixture_keyspace", "fixture_place"]


class TestCassandraReactionStore(ReactionStoreContract):
    """On Redis and Cassandra."""

    @pytest.fixture(name="engine")
    async def fixture_engine(self, place: Place) -> Engine:
        return await place.engine()

    @pytest.fixture(name="other")
    async def fixture_other(self, engine: Engine, place: Place) -> ReactionStore:
        return await place.store()
