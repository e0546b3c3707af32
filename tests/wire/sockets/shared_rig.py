"""One gateway for all tests of a module, and sockets to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.wire.gatewayrig import Rig, running

TOGGLE: dict[str, Any] = {"type": "toggle_reaction", "id": 7, "target": "messages/42", "emoji": "👍"}


@pytest_asyncio.fixture(name="rig", scope="module", loop_scope="module")
async def fixture_rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with running(tmp_path_factory.mktemp("rig")) as rig:
        yield rig


async def connected(rig: Rig, *subprotocols: str, query: str = "") -> Any:
    offered = [Subprotocol(item) for item in subprotocols]
    url = rig.http.replace("http", "ws") + "/ws/connect" + query
    return await connect(url, subprotocols=offered or None, compression=None, proxy=None)
