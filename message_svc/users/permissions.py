"""What users allow each other: to begin a direct conversation, to write in one, to add to a group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from kit.errors import Problem
from kit.tenant_keys import UserKey
from message_svc.commands import Denial, Reason
from message_svc.ports import Sender
from message_svc.users.domain import Relation
from message_svc.users.ports import UserStore
from message_svc.users.standings import Standings

log = structlog.get_logger()


class Permissions:
    """See `message_svc.ports.Permissions`. What is asked for a creation is read from the store, not from the cache."""

    def __init__(self, store: UserStore, standings: Standings) -> None:
        self._store = store
        self._standings = standings

    def cached_sender(self, key: UserKey) -> Sender | None:
        """See `Permissions`."""
        return self._standings.cached(key)

    async def sender(self, key: UserKey) -> Sender:
        """See `Permissions`."""
        return self._standings.cached(key) or await self._standings.load(key)

    async def denial_to_write(self, key: UserKey, other: str) -> Denial | None:
        """See `Permissions`."""
        return await self._denial(key, [other], Reason.CANNOT_MESSAGE, lambda relation: relation.lets_write)

    async def denial_to_add(self, key: UserKey, others: Sequence[str]) -> Denial | None:
        """See `Permissions`."""
        return await self._denial(key, others, Reason.CANNOT_ADD, lambda relation: relation.lets_add)

    async def _denial(
        self, key: UserKey, others: Sequence[str], reason: Reason, allows: Callable[[Relation], bool]
    ) -> Denial | None:
        tenant, user = key
        asked = [other for other in others if other != user]
        try:
            relations: Mapping[str, Relation] = await self._store.relations(tenant, user, asked)
        except Problem as problem:
            log.warning("permissions cannot be read", reason=str(problem))
            return Denial(Reason.PERMISSION_UNKNOWN, tuple(asked))
        denying = tuple(other for other in asked if not allows(relations.get(other, Relation())))
        return Denial(reason, denying) if denying else None
