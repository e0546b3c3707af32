"""Messages become commands in the order in which they came, whatever has to be read first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from kit.auth.caller import Caller
from kit.clock import ManualClock
from kit.errors import Problem, Unavailable
from kit.message_ids import direct_id
from kit.tenant_keys import UserKey
from message_svc.actions import CreateDirect, Send
from message_svc.commands import Command, Denial, Reason
from message_svc.config import Config
from message_svc.domain import Body
from message_svc.errors import RateLimited
from message_svc.ports import Sender
from message_svc.service.preparation import Preparation, Sending
from message_svc.service.user_limits import UserLimits

TENANT = "acme"
CANNOT_MESSAGE = Denial(Reason.CANNOT_MESSAGE, ("mallory",))


class Permissions:
    """Permissions whose reads wait for `may_go_on`."""

    def __init__(self) -> None:
        self.senders: dict[UserKey, Sender] = {}
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    def cached_sender(self, key: UserKey) -> Sender | None:
        return self.senders.get(key)

    async def sender(self, key: UserKey) -> Sender:
        await self.may_go_on.wait()
        return self.senders.setdefault(key, Sender())

    async def denial_to_write(self, key: UserKey, other: str) -> Denial | None:
        return CANNOT_MESSAGE if other == "mallory" else None


class Reads:
    """Reads that know these conversations; None: they fail."""

    def __init__(self) -> None:
        self.existing: set[str] | None = set()
        self.count = 0

    async def view(self, tenant: str, conversation_id: str, user: str) -> Any:
        self.count += 1
        if self.existing is None:
            raise Unavailable("the store is down")
        return "a view" if conversation_id in self.existing else None


@pytest.fixture(name="permissions")
def fixture_permissions() -> Permissions:
    return Permissions()


@pytest.fixture(name="reads")
def fixture_reads() -> Reads:
    return Reads()


@pytest.fixture(name="preparation")
def fixture_preparation(permissions: Permissions, reads: Any) -> Preparation:
    return Preparation(reads, permissions, UserLimits(Config(creations_per_hour=2), ManualClock()))  # type: ignore[arg-type]


def sending(user: str, recipient: str, content: str, conversation_id: str = "") -> Sending:
    named = conversation_id or direct_id(TENANT, user, recipient)
    command = Command(TENANT, named, user, content, Send(Body(content)))
    return Sending(Caller(TENANT, user), command, "" if conversation_id else recipient, content)


def shown(made: Sequence[Command] | Problem) -> list[str]:
    assert not isinstance(made, Problem), made
    return [type(command.action).__name__ for command in made]


async def test_the_first_message_creates_the_conversation_and_later_ones_do_not(
    preparation: Preparation, reads: Reads
) -> None:
    first = sending("alice", "bob", "1")
    (made,) = await preparation.commands_of([first])
    assert shown(made) == ["CreateDirect", "Send"]
    preparation.note_sent(first)
    (made,) = await preparation.commands_of([sending("alice", "bob", "2")])
    assert shown(made) == ["Send"]
    (made,) = await preparation.commands_of([sending("bob", "alice", "3")])
    assert shown(made) == ["Send"]
    assert reads.count == 1


async def test_messages_of_one_batch_create_a_conversation_and_count_it_once(preparation: Preparation) -> None:
    batch = [sending("alice", other, f"{other}-{n}") for n in range(3) for other in ("bob", "carol")]
    made = await preparation.commands_of(batch)
    assert [shown(each) for each in made] == [["CreateDirect", "Send"]] * 6
    (refused,) = await preparation.commands_of([sending("alice", "dave", "1")])
    assert isinstance(refused, RateLimited)


async def test_a_denied_conversation_is_denied_to_each_message(preparation: Preparation) -> None:
    made = await preparation.commands_of([sending("alice", "mallory", "1"), sending("alice", "mallory", "2")])
    for commands in made:
        assert not isinstance(commands, Problem)
        assert isinstance(commands[0].action, CreateDirect)
        assert commands[0].denial == CANNOT_MESSAGE


async def test_a_message_in_a_blocked_conversation_carries_its_denial(
    preparation: Preparation, permissions: Permissions
) -> None:
    blocked = direct_id(TENANT, "alice", "bob")
    permissions.senders[TENANT, "alice"] = Sender(blocked_conversations=frozenset({blocked}))
    other = direct_id(TENANT, "alice", "carol")
    made = await preparation.commands_of([sending("alice", "", "1", blocked), sending("alice", "", "2", other)])
    denials = [None if isinstance(each, Problem) else each[-1].denial for each in made]
    assert [denial and denial.reason for denial in denials] == [Reason.CANNOT_MESSAGE, None]


async def test_a_conversation_that_cannot_be_read_refuses_only_its_message(
    preparation: Preparation, reads: Reads
) -> None:
    reads.existing = None
    problem = RateLimited("before")
    made = await preparation.commands_of(
        [sending("alice", "bob", "1"), problem, sending("alice", "", "2", direct_id(TENANT, "alice", "bob"))]
    )
    assert isinstance(made[0], Unavailable)
    assert made[1] is problem
    assert shown(made[2]) == ["Send"]


async def test_messages_of_a_user_overtake_none_of_its_own_that_wait(
    preparation: Preparation, permissions: Permissions
) -> None:
    order: list[str] = []

    async def send(*batch: Sending) -> None:
        await preparation.commands_of(batch)
        order.extend(each.client_msg_id for each in batch)

    conversation_id = direct_id(TENANT, "alice", "bob")
    permissions.senders[TENANT, "carol"] = Sender()
    permissions.may_go_on.clear()
    tasks = [asyncio.create_task(send(sending("alice", "", "1", conversation_id)))]
    await asyncio.sleep(0)
    # Known from now on, but the first message still waits.
    permissions.senders[TENANT, "alice"] = Sender()
    carols = sending("carol", "", "c", conversation_id)
    tasks += [
        asyncio.create_task(send(sending("alice", "", "2", conversation_id))),
        asyncio.create_task(send(carols)),
        asyncio.create_task(
            send(sending("alice", "", "3", conversation_id), sending("dave", "", "d", conversation_id))
        ),
    ]
    await asyncio.sleep(0)
    assert order == ["c"]
    permissions.may_go_on.set()
    await asyncio.gather(*tasks)
    assert order == ["c", "1", "2", "3", "d"]
    # Nothing waits any more: the next one passes at once.
    await asyncio.wait_for(send(sending("alice", "", "4", conversation_id)), 1)
    assert order[-1] == "4"
