"""What services need to know of conversations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from kit.access.domain import Block, UserAccess
from kit.errors import Problem
from kit.tenant_keys import TargetKey


class Check(NamedTuple):
    """A question: may the user do this? `name`: a target or a topic for which `domain.is_of_conversation` is true.

    `as_member`: only a member may, such as for a change or a subscription; otherwise a former member may, too, for what
    was written up to then.
    """

    tenant: str
    user: str
    name: str
    as_member: bool


class Access(Protocol):
    """Decides what users may see. Grants nothing that it cannot find out."""

    def is_granted(self, checks: Sequence[Check]) -> bool:
        """Whether all of these are known to be granted, as of at most a second ago; False: `check` them."""
        ...

    async def check(self, checks: Sequence[Check]) -> Sequence[Problem | None]:
        """The answers in order; None: granted, as of at most a second ago. A refusal is as of now.

        `errors.ConversationNotFound` or `errors.MessageNotFound`: refused; `kit.errors.Unavailable`: it cannot be said
        now. Never raises.
        """
        ...


class Query(NamedTuple):
    """What to ask about one conversation: at least one user, and blocks of numbers."""

    users: Sequence[str]
    blocks: Sequence[int] = ()


class Answer(NamedTuple):
    """What is known of one conversation: the users and the blocks that were asked for."""

    users: Mapping[str, UserAccess]
    blocks: Mapping[int, Block]


class AccessSource(Protocol):
    """The service that decides about members: message_svc."""

    async def get(self, queries: Mapping[TargetKey, Query]) -> Mapping[TargetKey, Answer]:
        """What users may see now, by tenant and conversation. Raises `kit.errors.Unavailable`."""
        ...
