"""What users allow each other, and what holds where that cannot be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kit.errors import Unavailable
from message_svc.commands import Denial, Reason
from message_svc.users.domain import Audience, Preferences, Relation
from message_svc.users.permissions import Permissions

ALICE = ("acme", "alice")
NOBODY = Preferences(who_may_write=Audience.NOBODY)


class Store:
    """A store with these relations; None: it is down."""

    def __init__(self, relations: Mapping[str, Relation] | None) -> None:
        self.relations_of: Any = relations

    async def relations(self, tenant: str, user: str, others: Sequence[str]) -> Mapping[str, Relation]:
        if self.relations_of is None:
            raise Unavailable("the store is down")
        return {other: self.relations_of[other] for other in others if other in self.relations_of}


def permissions(relations: Mapping[str, Relation] | None) -> Permissions:
    store: Any = Store(relations)
    return Permissions(store, Any)  # type: ignore[arg-type]  # no cache is asked


async def test_a_denial_names_the_denying_users() -> None:
    found = permissions({"bob": Relation(), "carol": Relation(NOBODY), "dave": Relation(is_blocked=True)})
    assert await found.denial_to_write(ALICE, "bob") is None
    assert await found.denial_to_write(ALICE, "unknown") is None
    assert await found.denial_to_write(ALICE, "carol") == Denial(Reason.CANNOT_MESSAGE, ("carol",))
    assert await found.denial_to_add(ALICE, ["bob", "carol"]) is None
    everyone = ["alice", "bob", "carol", "dave"]
    assert await found.denial_to_add(ALICE, everyone) == Denial(Reason.CANNOT_ADD, ("dave",))


async def test_permissions_that_cannot_be_read_are_denied() -> None:
    found = permissions(None)
    assert await found.denial_to_write(ALICE, "bob") == Denial(Reason.PERMISSION_UNKNOWN, ("bob",))
    assert await found.denial_to_add(ALICE, ["bob"]) == Denial(Reason.PERMISSION_UNKNOWN, ("bob",))
