"""What users may see, from message_svc, over the mesh."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Protocol

from kit.access import codec
from kit.access.ports import Answer, Query
from kit.errors import RemoteError, Unavailable
from kit.tenant_keys import TargetKey

METHOD = "/plaudit.message.v1.AccessService/BatchGetAccess"
_MAX_QUERIES, _MAX_USERS, _MAX_BLOCKS = 1_000, 1_000, 100
_TIMEOUT_SECONDS = 1.0


class Calls(Protocol):
    """Calls to other services: `kit.rpc.mesh.Mesh`."""

    async def call(self, method: str, request: bytes, *, key: str = "", timeout: float = 5.0) -> bytes:
        """Calls `/package.Service/Method` and returns the response. Raises RemoteError."""
        ...


class MeshAccessSource:
    """See `ports.AccessSource`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def get(self, queries: Mapping[TargetKey, Query]) -> Mapping[TargetKey, Answer]:
        """See `AccessSource`. A question that is too large for one request is asked in parts."""
        found: dict[TargetKey, Answer] = {}
        for part in _parts(queries):
            for key, answer in (await self._get(part)).items():
                before = found.get(key, Answer({}, {}))
                found[key] = Answer({**before.users, **answer.users}, {**before.blocks, **answer.blocks})
        return found

    async def _get(self, queries: Mapping[TargetKey, Query]) -> Mapping[TargetKey, Answer]:
        _, conversation_id = next(iter(queries))
        request = codec.queries_to_pb(queries)
        try:
            response = await self._calls.call(METHOD, request, key=conversation_id, timeout=_TIMEOUT_SECONDS)
        except RemoteError as error:
            raise Unavailable(
                "it cannot be found out now who may see this", retry_after=0.5, detail=error.message
            ) from error
        return codec.answers_from_pb(queries, response)


def _parts(queries: Mapping[TargetKey, Query]) -> list[dict[TargetKey, Query]]:
    """The queries in requests of allowed sizes; most are one request."""
    parts: list[dict[TargetKey, Query]] = []
    remaining = iter(queries.items())
    while part := dict(islice(remaining, _MAX_QUERIES)):
        large = {key: part.pop(key) for key, query in list(part.items()) if _is_large(query)}
        parts += [part] if part else []
        for key, query in large.items():
            users = [query.users[at : at + _MAX_USERS] for at in range(0, len(query.users), _MAX_USERS)]
            blocks = [query.blocks[at : at + _MAX_BLOCKS] for at in range(0, len(query.blocks), _MAX_BLOCKS)]
            # Blocks are answered where a user of the same request may see them.
            parts += [{key: Query(named, numbers)} for named in users for numbers in blocks or [()]]
    return parts


def _is_large(query: Query) -> bool:
    return len(query.users) > _MAX_USERS or len(query.blocks) > _MAX_BLOCKS
