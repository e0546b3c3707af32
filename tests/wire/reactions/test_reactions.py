"""Reactions over real gRPC: unary calls, the call stream, the stream of batches, and the counts in their answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import status_pb2

import counter_svc.app
import counter_svc.config
import reaction_svc.app
from kit.adapters.engines import Engines
from kit.adapters.sqlite.event_log import open_sqlite_log
from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import NodeTokens
from kit.clock import ManualClock
from kit.cluster.nodes import StaticNodes
from kit.errors import RemoteError, remote_error
from kit.limits.server_limits import ServerLimits
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import Hosted, serving
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb
from plaudit.reaction.v1 import reaction_pb2 as types
from plaudit.reaction.v1 import reaction_service_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc
from plaudit.reaction.v1 import reaction_tally_pb2 as tally_pb
from reaction_svc.config import Config

SERVICE = "/plaudit.reaction.v1.ReactionService"
TOGGLE = f"{SERVICE}/ToggleReaction"
FREE = Config(changes_per_second=0)


@dataclass
class Rig:
    """A server with reactions and counts, and ways to it."""

    stub: Any
    mesh: Mesh
    keys: Keys
    hosted: Sequence[Hosted]
    clock: ManualClock

    def user(self, name: str = "alice", tenant: str = "default") -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.keys.minter().mint_user(name, tenant)}"),)

    def service(self, *scopes: str, acting_for: str = "") -> tuple[tuple[str, str], ...]:
        token = self.keys.minter().mint_service("load", scopes or ("act-as", "tenants", "audit"))
        metadata = (("authorization", f"Bearer {token}"),)
        return (*metadata, ("plaudit-user", acting_for)) if acting_for else metadata

    async def toggle(
        self, emoji: str = "👍", *, target: str = "messages/42", user: str = "alice", op_id: str = ""
    ) -> Any:
        request = changes_pb.ToggleReactionRequest(target=target, emoji=emoji, op_id=op_id)
        return await self.stub.ToggleReaction(request, metadata=self.user(user))


@asynccontextmanager
async def rig(folder: Path, config: Config = FREE, counting: bool = True) -> AsyncIterator[Rig]:
    keys = open_keys(folder / "keys")
    clock = ManualClock()
    async with (
        open_sqlite_log(folder / "reactions.db", ledgers=["reactions"]) as log,
        connected(StaticNodes(), NodeTokens(keys.minter())) as mesh,
        reaction_svc.app.opened(config, mesh, Engines(folder, log), clock) as reactions,
        counter_svc.app.opened(counter_svc.config.Config(drift_seconds=0), mesh, Engines(folder, log)) as counts,
        serving(
            [*reactions, *(counts if counting else [])], verifier=keys.verifier(), limits=ServerLimits(grace=1.0)
        ) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        mesh.own_address = server.address
        mesh.set_resolver(StaticNodes(server.address))
        yield Rig(pb_grpc.ReactionServiceStub(channel), mesh, keys, reactions, clock)


@pytest.fixture(name="rig")
async def fixture_rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path) as made:
        yield made


def change(emoji: str = "👍", *, target: str = "messages/1", user: str = "", op_id: str = "") -> types.Change:
    return types.Change(target=target, emoji=emoji, action=types.ACTION_TOGGLE, user=user, op_id=op_id)


def counts_of(reactions: Iterable[Any]) -> list[tuple[str, int]]:
    return [(row.emoji, row.count) for row in reactions]


async def refused(call: Any) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    for key, value in failed.value.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return remote_error(status_pb2.Status.FromString(value))
    raise AssertionError(f"a status without details: {failed.value!r}")


async def test_a_tap_answers_with_the_counts_it_is_in(rig: Rig) -> None:
    first = await rig.toggle(op_id="a")
    assert first.on
    assert counts_of(first.reactions) == [("👍", 1)]
    second = await rig.toggle("love", user="bob")
    assert counts_of(second.reactions) == [("❤", 1), ("👍", 1)]
    back = await rig.toggle(op_id="b")
    assert not back.on
    assert counts_of(back.reactions) == [("❤", 1)]
    again = await rig.toggle(op_id="a")
    assert (again.on, again.version) == (True, first.version)


async def test_set_and_clear_say_what_is_to_be(rig: Rig) -> None:
    as_alice = rig.user()
    for on in (True, True, False):
        request = changes_pb.SetReactionRequest(target="messages/42", emoji="👍️"[:1], on=on)
        assert (await rig.stub.SetReaction(request, metadata=as_alice)).on is on
    await rig.toggle("👍")
    await rig.toggle("❤️")
    await rig.toggle("🎉")
    one = changes_pb.ClearReactionsRequest(target="messages/42", emoji="🎉", op_id="one")
    for _ in range(2):
        taken = await rig.stub.ClearReactions(one, metadata=as_alice)
        assert counts_of(taken.reactions) == [("❤", 1), ("👍", 1)]
    # The same id for all of them is another change.
    error = await refused(
        rig.stub.ClearReactions(changes_pb.ClearReactionsRequest(target="messages/42", op_id="one"), metadata=as_alice)
    )
    assert error.reason == "OP_CONFLICT"
    cleared = await rig.stub.ClearReactions(changes_pb.ClearReactionsRequest(target="messages/42"), metadata=as_alice)
    assert counts_of(cleared.reactions) == []
    own = await rig.stub.BatchGetOwnReactions(
        pb.BatchGetOwnReactionsRequest(targets=["messages/42,messages/43", "posts/1"]), metadata=as_alice
    )
    assert [(row.target, list(row.emojis), row.version) for row in own.own_reactions] == [
        ("messages/42", [], cleared.version),
        ("messages/43", [], 0),
        ("posts/1", [], 0),
    ]


@pytest.mark.parametrize(
    ("request_", "code", "reason", "field"),
    [
        ({"target": "people/1", "emoji": "👍"}, "INVALID_ARGUMENT", "INVALID_TARGET", "target"),
        ({"target": "messages/1", "emoji": "👍👍"}, "INVALID_ARGUMENT", "INVALID_EMOJI", "emoji"),
        ({"target": "messages/1", "emoji": "🏽"}, "INVALID_ARGUMENT", "INVALID_EMOJI", "emoji"),
        ({"target": "messages/1", "emoji": ""}, "INVALID_ARGUMENT", "INVALID_REQUEST", "emoji"),
        ({"target": "messages/ 1", "emoji": "👍"}, "INVALID_ARGUMENT", "INVALID_REQUEST", "target"),
        ({"target": "messages/1", "emoji": "👍", "op_id": "a b"}, "INVALID_ARGUMENT", "INVALID_REQUEST", "op_id"),
    ],
)
async def test_bad_input_is_refused_by_name_on_both_ways_in(
    rig: Rig, request_: dict[str, str], code: str, reason: str, field: str
) -> None:
    request = changes_pb.ToggleReactionRequest(**request_)
    direct = await refused(rig.stub.ToggleReaction(request, metadata=rig.user()))
    assert (direct.code.name, direct.reason, direct.field) == (code, reason, field)
    with pytest.raises(RemoteError) as streamed:
        await rig.mesh.call(TOGGLE, request.SerializeToString(), user="alice")
    assert (streamed.value.code.name, streamed.value.reason, streamed.value.field) == (code, reason, field)


async def test_an_op_id_of_another_change_is_aborted(rig: Rig) -> None:
    await rig.toggle(op_id="a")
    error = await refused(rig.toggle("❤", op_id="a"))
    assert (error.code.name, error.reason) == ("ABORTED", "OP_CONFLICT")
    error = await refused(rig.toggle(user="mallory", op_id="a"))
    assert (error.code.name, error.reason) == ("ABORTED", "OP_CONFLICT")


async def test_the_emoji_of_a_target_are_bounded(tmp_path: Path) -> None:
    async with rig(tmp_path, Config(changes_per_second=0, max_emoji=2)) as small:
        await small.toggle("👍")
        await small.toggle("❤")
        error = await refused(small.toggle("😮"))
        assert (error.code.name, error.reason) == ("FAILED_PRECONDITION", "TOO_MANY_EMOJI")
        assert not (await small.toggle("👍")).on


async def test_a_user_above_the_rate_is_refused_with_a_retry_delay(tmp_path: Path) -> None:
    config = Config(changes_per_second=10, changes_at_once=10)
    async with rig(tmp_path, config) as limited:
        for i in range(10):
            await limited.toggle(target=f"messages/{i}")
        error = await refused(limited.toggle())
        assert (error.code.name, error.reason, error.retry_after) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED", 0.1)
        await limited.toggle(user="bob")
        limited.clock.advance(0.1)
        await limited.toggle()
        # A batch does not bypass it, and each of its changes is answered.
        limited.clock.advance(0.2)
        batch = changes_pb.BatchChangeReactionsRequest(
            changes=[types.Change(target=f"messages/{i}", emoji="👍", action=types.ACTION_ADD) for i in range(5)]
        )
        answer = await limited.stub.BatchChangeReactions(batch, metadata=limited.user())
        reasons = [remote_error(row.error).reason if row.HasField("error") else "" for row in answer.outcomes]
        assert reasons == ["", "", "RATE_LIMITED", "RATE_LIMITED", "RATE_LIMITED"]
        # A service that acts for the user has limits of its own.
        for _ in range(30):
            await limited.stub.ToggleReaction(
                changes_pb.ToggleReactionRequest(target="messages/1", emoji="👍"),
                metadata=limited.service(acting_for="alice"),
            )


async def test_a_batch_has_an_outcome_for_each_change_and_counts_for_each_target(rig: Rig) -> None:
    changes = [
        types.Change(target="messages/1", emoji="👍", action=types.ACTION_TOGGLE, op_id="a"),
        types.Change(target="messages/1", emoji="👍", action=types.ACTION_TOGGLE, op_id="b"),
        types.Change(target="messages/1", emoji="no emoji", action=types.ACTION_TOGGLE),
        types.Change(target="posts/1", emoji="like", action=types.ACTION_ADD),
        types.Change(target="posts/1", emoji="wow", action=types.ACTION_ADD),
        types.Change(target="messages/1", emoji="👍", action=types.ACTION_TOGGLE, op_id="a"),
    ]
    answer = await rig.stub.BatchChangeReactions(
        changes_pb.BatchChangeReactionsRequest(changes=changes), metadata=rig.user()
    )
    assert [row.on for row in answer.outcomes] == [True, False, False, True, True, True]
    bad = remote_error(answer.outcomes[2].error)
    assert (bad.reason, bad.field) == ("INVALID_EMOJI", "changes[2].emoji")
    assert answer.outcomes[5] == answer.outcomes[0]
    assert {row.target: counts_of(row.reactions) for row in answer.counts} == {"messages/1": [], "posts/1": [("😮", 1)]}


async def test_only_a_service_that_may_act_for_users_names_them_in_a_change(rig: Rig) -> None:
    named = types.Change(target="messages/1", emoji="👍", action=types.ACTION_ADD, user="bob")
    request = changes_pb.BatchChangeReactionsRequest(changes=[named])
    for metadata, reason in [
        (rig.user("alice"), "FORBIDDEN"),
        (rig.user("bob"), "FORBIDDEN"),
        (rig.service("tenants"), "FORBIDDEN"),
        (rig.service("act-as"), ""),
        (rig.service("act-as", acting_for="alice"), ""),
    ]:
        (outcome,) = (await rig.stub.BatchChangeReactions(request, metadata=metadata)).outcomes
        assert (remote_error(outcome.error).reason if outcome.HasField("error") else "") == reason
    nobody = changes_pb.BatchChangeReactionsRequest(
        changes=[types.Change(target="messages/1", emoji="👍", action=types.ACTION_ADD)]
    )
    (outcome,) = (await rig.stub.BatchChangeReactions(nobody, metadata=rig.service())).outcomes
    assert remote_error(outcome.error).field == "changes[0].user"
    with pytest.raises(RemoteError) as forwarded:
        await rig.mesh.call(
            f"{SERVICE}/ClearReactions", changes_pb.ClearReactionsRequest(target="messages/1").SerializeToString()
        )
    assert forwarded.value.field == "user"


async def test_many_calls_of_a_call_stream_are_each_answered_with_their_own(rig: Rig) -> None:
    async def tap(i: int) -> changes_pb.ToggleReactionResponse:
        emoji = "👍" if i % 10 else "bad"
        request = changes_pb.ToggleReactionRequest(target="messages/1", emoji=emoji, op_id=f"op{i}")
        return changes_pb.ToggleReactionResponse.FromString(
            await rig.mesh.call(TOGGLE, request.SerializeToString(), user=f"u{i}", tenant="default", timeout=20)
        )

    answers = await asyncio.gather(*(tap(i) for i in range(200)), return_exceptions=True)
    good = [answer for answer in answers if isinstance(answer, changes_pb.ToggleReactionResponse)]
    assert [isinstance(answer, RemoteError) for answer in answers] == [i % 10 == 0 for i in range(200)]
    assert all(answer.on for answer in good)
    assert len({answer.version for answer in good}) == 180
    assert max(dict(counts_of(answer.reactions))["👍"] for answer in good) == 180


async def test_a_stream_answers_each_batch_in_order_and_keeps_to_the_rules(rig: Rig) -> None:
    async def requests() -> AsyncIterator[changes_pb.StreamReactionsRequest]:
        for batch in range(30):
            yield changes_pb.StreamReactionsRequest(
                changes=[
                    types.Change(
                        target="messages/1", emoji="👍", action=types.ACTION_TOGGLE, op_id=f"{batch}", user=f"u{batch}"
                    ),
                    types.Change(target="nonsense", emoji="👍", action=types.ACTION_TOGGLE),
                    types.Change(target="messages/1", emoji="👍", user="u"),
                    types.Change(target="messages/1", emoji="👍", action=types.ACTION_ADD, op_id="x" * 65, user="u"),
                    types.Change(target="messages/1", emoji="👍", action=types.ACTION_ADD, user="u u"),
                ]
            )

    versions, last = [], None
    async for answer in rig.stub.StreamReactions(requests(), metadata=rig.service()):
        first, *bad = answer.outcomes
        assert first.on
        versions.append(first.version)
        problems = [remote_error(row.error) for row in bad]
        assert [(problem.reason, problem.field) for problem in problems] == [
            ("INVALID_TARGET", "changes[1].target"),
            ("INVALID_REQUEST", "changes[2].action"),
            ("INVALID_REQUEST", "changes[3].op_id"),
            ("INVALID_REQUEST", "changes[4].user"),
        ]
        last = answer
    assert len(versions) == 30
    assert versions == sorted(set(versions))
    assert last is not None
    assert counts_of(last.counts[0].reactions) == [("👍", 30)]


async def test_a_batch_that_is_no_batch_ends_the_stream_after_the_answers_before_it(rig: Rig) -> None:
    async def requests() -> AsyncIterator[changes_pb.StreamReactionsRequest]:
        yield changes_pb.StreamReactionsRequest(
            changes=[types.Change(target="messages/1", emoji="👍", action=types.ACTION_ADD, user="u")]
        )
        yield changes_pb.StreamReactionsRequest()

    call = rig.stub.StreamReactions(requests(), metadata=rig.service())
    assert (await call.read()).outcomes[0].on
    error = await refused(call.read())
    assert (error.code.name, error.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


async def test_a_drain_ends_the_stream_once_all_it_has_read_is_answered(rig: Rig) -> None:
    call = rig.stub.StreamReactions(metadata=rig.service())
    changes = [types.Change(target="messages/1", emoji="👍", action=types.ACTION_ADD, user="u")]
    await call.write(changes_pb.StreamReactionsRequest(changes=changes))
    assert (await call.read()).outcomes[0].on
    for hosted in rig.hosted:
        hosted.drain()
    error = await refused(call.read())
    assert (error.code.name, error.reason) == ("UNAVAILABLE", "DRAINING")


async def test_reactors_are_listed_in_pages_bound_to_who_asked_and_for_what(rig: Rig) -> None:
    for i in range(5):
        await rig.toggle("👍" if i % 2 else "❤", user=f"u{i}")
    first = await rig.stub.ListReactors(pb.ListReactorsRequest(target="messages/42", page_size=3), metadata=rig.user())
    assert [(row.user, row.emoji) for row in first.reactors] == [("u4", "❤"), ("u3", "👍"), ("u2", "❤")]
    assert first.reactors[0].create_time.ToSeconds() == int(rig.clock.now())
    token = first.next_page_token
    rest = await rig.stub.ListReactors(
        pb.ListReactorsRequest(target="messages/42", page_size=3, page_token=token), metadata=rig.user()
    )
    assert [row.user for row in rest.reactors] == ["u1", "u0"]
    assert rest.next_page_token == ""
    likes = await rig.stub.ListReactors(
        pb.ListReactorsRequest(target="messages/42", emoji="like", page_size=0), metadata=rig.user()
    )
    assert [row.user for row in likes.reactors] == ["u3", "u1"]
    for request, who in [
        (pb.ListReactorsRequest(target="messages/42", page_token=token), "bob"),
        (pb.ListReactorsRequest(target="messages/43", page_token=token), "alice"),
        (pb.ListReactorsRequest(target="messages/42", emoji="like", page_token=token), "alice"),
        (pb.ListReactorsRequest(target="messages/42", page_token=token[:-1]), "alice"),
        (pb.ListReactorsRequest(target="messages/42", page_token="🙂"), "alice"),
    ]:
        error = await refused(rig.stub.ListReactors(request, metadata=rig.user(who)))
        assert (error.code.name, error.reason) == ("INVALID_ARGUMENT", "INVALID_CURSOR")
    rig.clock.advance(3_601)
    stale = pb.ListReactorsRequest(target="messages/42", page_token=token)
    assert (await refused(rig.stub.ListReactors(stale, metadata=rig.user()))).reason == "INVALID_CURSOR"


async def test_records_are_counted_for_services_in_their_tenants_only(rig: Rig) -> None:
    for i in range(4):
        await rig.toggle(target=f"messages/{i}")
    some = await rig.stub.TallyReactions(
        tally_pb.TallyReactionsRequest(targets=["messages/0", "messages/9", "messages/0"]), metadata=rig.service()
    )
    assert [(row.tenant, row.counts.target, counts_of(row.counts.reactions)) for row in some.tallies] == [
        ("default", "messages/0", [("👍", 1)]),
        ("default", "messages/9", []),
        ("default", "messages/0", [("👍", 1)]),
    ]
    found, token = [], ""
    while True:
        page = await rig.stub.TallyReactions(
            tally_pb.TallyReactionsRequest(page_size=3, page_token=token), metadata=rig.service()
        )
        found += [row.counts.target for row in page.tallies]
        token = page.next_page_token
        if not token:
            break
    assert sorted(found) == [f"messages/{i}" for i in range(4)]
    for request, metadata in [
        (tally_pb.TallyReactionsRequest(), rig.user()),
        (tally_pb.TallyReactionsRequest(), rig.service("act-as")),
        (tally_pb.TallyReactionsRequest(tenant="acme", targets=["messages/0"]), rig.service("act-as")),
    ]:
        assert (await refused(rig.stub.TallyReactions(request, metadata=metadata))).code.name == "PERMISSION_DENIED"


async def test_answers_have_counts_also_where_no_counter_runs(tmp_path: Path) -> None:
    async with rig(tmp_path, FREE, counting=False) as alone:
        await alone.toggle()
        assert counts_of((await alone.toggle(user="bob")).reactions) == [("👍", 2)]


async def test_another_tenant_sees_nothing(rig: Rig) -> None:
    await rig.toggle()
    listed = await rig.stub.ListReactors(
        pb.ListReactorsRequest(target="messages/42"), metadata=rig.user("alice", tenant="acme")
    )
    assert list(listed.reactors) == []
