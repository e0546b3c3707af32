"""Which targets a caller may see: those of conversations by membership, all others freely."""

from __future__ import annotations

from collections.abc import Sequence

from kit.access.domain import MESSAGE_TARGETS
from kit.access.errors import MessageNotFound
from kit.access.ports import Access, Check
from kit.tenant_keys import TargetKey

_NOTHING: frozenset[TargetKey] = frozenset()


class TargetAccess:
    """Checks reads of targets. `user` "": a service in its own name, such as an audit, which may see everything."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def is_open(self, user: str, keys: Sequence[TargetKey]) -> bool:
        """Whether it is known here that the caller may see all of these targets. Never waits."""
        if not user:
            return True
        checks = _checks(user, keys)
        return not checks or self._access.is_granted(checks)

    async def require(self, user: str, key: TargetKey) -> None:
        """Raises MessageNotFound where the caller may not see the target, and Unavailable where that is not known."""
        for problem in await self._access.check(_checks(user, [key])) if user else ():
            if problem is not None:
                raise problem

    async def hidden(self, user: str, keys: Sequence[TargetKey]) -> frozenset[TargetKey]:
        """The targets that the caller may not see; raises Unavailable where that is not known."""
        if self.is_open(user, keys):
            return _NOTHING
        checks = _checks(user, keys)
        hidden: set[TargetKey] = set()
        for check, problem in zip(checks, await self._access.check(checks), strict=True):
            if isinstance(problem, MessageNotFound):
                hidden.add((check.tenant, check.name))
            elif problem is not None:
                raise problem
        return frozenset(hidden)


def _checks(user: str, keys: Sequence[TargetKey]) -> list[Check]:
    return [Check(tenant, user, name, False) for tenant, name in keys if name.startswith(MESSAGE_TARGETS)]
