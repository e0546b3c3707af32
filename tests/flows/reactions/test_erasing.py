"""The effects of an erasure on the screens of others, and on the user's own devices."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import grpc

from plaudit.reaction.v1 import reaction_erasure_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from plaudit_client import OwnUpdate, connect
from tests.flows.clients import new_target, new_user, until
from tests.running import Stack


async def test_an_erasure_is_on_the_screens_of_others_and_of_the_user(shared_stack: Stack) -> None:
    message, post = new_target(), new_target("posts")
    async with AsyncExitStack() as opened:
        enter = opened.enter_async_context
        alice, bob = [
            await enter(connect(shared_stack.ws_url, shared_stack.token(new_user(name)))) for name in ("alice", "bob")
        ]
        await alice.toggle(message, "👍")
        await alice.toggle(post, "like")
        before = await bob.toggle(message, "👍")
        seen_by_bob, of_alice = await enter(bob.subscribe(message, post)), await enter(alice.own_updates())
        channel = await enter(grpc.aio.insecure_channel(shared_stack.grpc_address))
        stub: Any = pb_grpc.ReactionServiceStub(channel)
        metadata = (("authorization", f"Bearer {shared_stack.service_token(scopes=('erase',))}"),)

        answer = await stub.ErasePerson(pb.ErasePersonRequest(user=alice.user), metadata=metadata)
        assert (answer.erased, answer.done) == (2, True)
        seen = await until(seen_by_bob, lambda update: update.topic == message and update.version > before.version)
        assert seen[-1].reactions == {"👍": 1}
        taken: dict[str, frozenset[str]] = {}

        def is_pushed(update: OwnUpdate) -> bool:
            taken[update.target] = update.removed
            return taken == {message: frozenset("👍"), post: frozenset("👍")}

        await until(of_alice, is_pushed)

        erased = await stub.EraseTarget(pb.EraseTargetRequest(target=message), metadata=metadata)
        assert (erased.erased, erased.next_page_token) == (1, "")
        last = await until(seen_by_bob, lambda update: update.topic == message and not update.reactions)
        assert last[-1].version > seen[-1].version
