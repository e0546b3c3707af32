"""The caller of the current rpc."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from kit.errors import Unauthenticated


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified identity.

    `user` is the user of the call, "" for a service in its own name; `service` is the calling service's name,
    "" for a user. A user's rate limits do not apply where `unlimited`."""

    tenant: str
    user: str
    service: str = ""
    scopes: frozenset[str] = frozenset()
    unlimited: bool = False


CURRENT: ContextVar[Caller] = ContextVar("caller")


def caller() -> Caller:
    """The caller of the rpc being served; raises Unauthenticated outside of one."""
    try:
        return CURRENT.get()
    except LookupError:
        raise Unauthenticated("no call is being served") from None
