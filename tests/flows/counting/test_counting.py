"""From the log of entries to exact counts: a real log, real gRPC between the services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client import REGISTRY

from counter_svc import codec
from counter_svc.app import opened
from counter_svc.config import Config
from counter_svc.domain import Totals
from kit.adapters.engines import Engines
from kit.adapters.sqlite.event_log import SqliteLog, open_sqlite_log
from kit.auth.keys import Keys, open_keys
from kit.auth.tokens import NodeTokens
from kit.errors import RemoteError
from kit.event_log.dead_letters import TOPIC as DEAD_LETTERS
from kit.limits.server_limits import ServerLimits
from kit.rpc.mesh import Mesh, connected
from kit.rpc.server import Hosted, serving
from kit.tenant_keys import TargetKey
from plaudit.counter.v1 import counter_service_pb2 as pb
from plaudit.counter.v1 import counter_service_pb2_grpc as pb_grpc
from plaudit.event.v1 import reaction_events_pb2 as event_pb
from plaudit.event.v1.dead_letter_pb2 import DeadLetter
from plaudit.reaction.v1 import reaction_service_pb2_grpc
from tests.events import payload
from tests.flows.crowd import TOPIC, Crowd, CrowdServicer, StalledLog, eventually

GET = "/plaudit.counter.v1.CounterService/GetCounts"
GET_ONE = "/plaudit.counter.v1.CounterService/GetReactionCounts"
REBUILD = "/plaudit.counter.v1.CounterService/Rebuild"
KEYS: list[TargetKey] = [("default", f"messages/{n}") for n in range(5)]
OTHER: TargetKey = ("default", "posts/other")
QUICK = Config(drift_seconds=0.05, watch_seconds=0.001)
UNCHECKED = Config(drift_seconds=0)


class Addresses:
    """Where services are, filled in once they are there."""

    def __init__(self) -> None:
        self.found: tuple[str, ...] = ()

    def addresses(self, service: str) -> tuple[str, ...]:
        return self.found

    def address_of(self, node_id: str) -> str:
        return ""


@dataclass
class CounterStack:
    """A counter and a reaction service, as a user of both sees them."""

    crowd: Crowd
    mesh: Mesh
    keys: Keys
    address: str

    async def get(
        self, keys: Sequence[TargetKey], least: Sequence[int] = (), timeout: float = 5.0
    ) -> dict[TargetKey, Totals]:
        request = pb.GetCountsRequest(
            targets=[target for _, target in keys], tenants=[tenant for tenant, _ in keys], min_versions=least
        )
        answer = await self.mesh.call(GET, request.SerializeToString(), timeout=timeout)
        rows = pb.GetCountsResponse.FromString(answer).counts
        assert [row.target for row in rows] == [target for _, target in keys]
        return {
            key: Totals(row.version, tuple((one.emoji, one.count) for one in row.reactions))
            for key, row in zip(keys, rows, strict=True)
        }

    async def assert_exact(self, keys: Sequence[TargetKey] = KEYS) -> None:
        least = [self.crowd.versions[key] for key in keys]
        for key, found in (await self.get(keys, least)).items():
            assert (found.version, dict(found.reactions)) == self.crowd.truth(key), key

    async def is_exact(self, keys: Sequence[TargetKey] = KEYS) -> bool:
        found = await self.get(keys)
        return all(dict(value.reactions) == self.crowd.truth(key)[1] for key, value in found.items())

    async def rebuild(self, keys: Sequence[TargetKey] = ()) -> tuple[int, int]:
        request = pb.RebuildRequest(tenant="default", targets=[target for _, target in keys])
        done = pb.RebuildResponse.FromString(await self.mesh.call(REBUILD, request.SerializeToString(), timeout=20))
        return done.targets, done.drifted


@asynccontextmanager
async def counter_stack(
    folder: Path, crowd: Crowd, config: Config = QUICK, log: Any = None, records: Any = None
) -> AsyncIterator[CounterStack]:
    """Serves a counter and a reaction service; `records` answers for the reaction service instead of the crowd."""
    keys = open_keys(folder / "keys")
    places = Addresses()
    peer = Hosted(records or CrowdServicer(crowd), reaction_service_pb2_grpc.add_ReactionServiceServicer_to_server)
    limits = ServerLimits(grace=0.5)
    async with (
        connected(places, NodeTokens(keys.minter())) as mesh,
        opened(config, mesh, Engines(folder, log or crowd.log)) as hosted,
        serving([*hosted, peer], verifier=keys.verifier(), limits=limits) as server,
    ):
        mesh.own_address, places.found = server.address, (server.address,)
        yield CounterStack(crowd, mesh, keys, server.address)


@pytest.fixture(name="log")
async def fixture_log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    async with open_sqlite_log(tmp_path / "reactions.db") as log:
        yield log


@pytest.fixture(name="crowd")
def fixture_crowd(log: SqliteLog) -> Crowd:
    return Crowd(log)


async def test_a_user_reads_their_own_writes(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter:
        for _ in range(20):
            await crowd.act(KEYS, 10)
            await counter.assert_exact()


async def test_a_version_that_the_log_does_not_bring_is_read_from_the_head(tmp_path: Path, crowd: Crowd) -> None:
    deaf = StalledLog(crowd.log, listening=True)
    async with counter_stack(tmp_path, crowd, UNCHECKED, log=deaf) as counter:
        await crowd.act(KEYS, 50)
        await counter.assert_exact()
        deaf.listening.clear()
        before = heads_read()
        for _ in range(5):
            await crowd.act(KEYS, 50)
            await counter.assert_exact()
        assert heads_read() > before


def heads_read() -> float:
    return REGISTRY.get_sample_value("plaudit_counter_heads_read_total") or 0


async def test_a_version_that_the_log_brings_is_answered_without_reading_the_head(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd, UNCHECKED) as counter:
        await crowd.act(KEYS, 50)
        await counter.assert_exact()
        before = heads_read()
        for _ in range(20):
            await crowd.act(KEYS, 10)
            await counter.assert_exact()
        assert heads_read() == before


async def test_a_head_that_was_read_does_not_hold_back_what_the_log_brings(tmp_path: Path, crowd: Crowd) -> None:
    slow = Slow(CrowdServicer(crowd))
    async with counter_stack(tmp_path, crowd, UNCHECKED, records=slow) as counter:
        await counter.get([OTHER])
        await crowd.append([crowd.toggle(KEYS[0], "alice", "👍")])
        slow.let_go.clear()
        cold = asyncio.create_task(counter.get([KEYS[1]]))
        await slow.asked.wait()
        changes = [crowd.toggle(KEYS[1], user, "❤") for user in ("alice", "bob")]
        await crowd.append(changes)
        assert (await counter.get([KEYS[1]], [2]))[KEYS[1]] == Totals(2, (("❤", 2),))
        slow.let_go.set()
        assert (await cold)[KEYS[1]].version in (0, 2)
        # What was read before the changes does not take their place.
        assert (await counter.get([KEYS[1]]))[KEYS[1]] == Totals(2, (("❤", 2),))


class Slow:
    """A reaction service that reads heads at once, and answers once it is let go."""

    def __init__(self, servicer: CrowdServicer) -> None:
        self._servicer = servicer
        self.asked = asyncio.Event()
        self.let_go = asyncio.Event()
        self.let_go.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._servicer, name)

    async def BatchGetTargetCounts(self, request: Any, context: object) -> Any:
        answer = await self._servicer.BatchGetTargetCounts(request, context)
        self.asked.set()
        await self.let_go.wait()
        return answer


async def test_a_target_without_reactions_has_version_0(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter:
        assert await counter.get(KEYS[:1]) == {KEYS[0]: Totals(0, ())}


async def test_a_version_that_does_not_come_is_refused_in_time(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter:
        await crowd.act(KEYS, 10)
        ready = asyncio.create_task(counter.get(KEYS))
        with pytest.raises(RemoteError) as caught:
            await counter.get(KEYS[:1], [10**15], timeout=0.1)
        assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_CAUGHT_UP")
        assert await ready
        bearer = (("authorization", f"Bearer {counter.keys.minter().mint_user('alice')}"),)
        async with grpc.aio.insecure_channel(counter.address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as direct:
                await pb_grpc.CounterServiceStub(channel).GetReactionCounts(
                    pb.GetReactionCountsRequest(target="messages/1", min_version=10**15), timeout=0.2, metadata=bearer
                )
        assert direct.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_a_counter_that_comes_back_does_not_answer_from_before_it_went(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter:
        await crowd.act(KEYS, 100)
        await counter.assert_exact()
    await crowd.act(KEYS, 100)
    deaf = StalledLog(crowd.log)
    async with counter_stack(tmp_path, crowd, log=deaf) as counter:
        for _ in range(2):  # first lagging the log, then having read it
            found = await counter.get(KEYS)
            assert {key: value.version for key, value in found.items()} == {key: crowd.versions[key] for key in KEYS}
            deaf.listening.set()
            await crowd.act([OTHER], 1)
            await counter.get([OTHER], [crowd.versions[OTHER]])


async def test_without_the_reaction_service_only_what_is_known_is_answered(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(
        tmp_path, crowd, UNCHECKED, records=reaction_service_pb2_grpc.ReactionServiceServicer()
    ) as counter:
        await crowd.act(KEYS, 50)
        await eventually(partial(knows, counter, KEYS))
        await counter.assert_exact()
        with pytest.raises(RemoteError) as caught:
            await counter.get([OTHER], timeout=0.3)
        assert caught.value.code == grpc.StatusCode.UNAVAILABLE


async def knows(counter: CounterStack, keys: Sequence[TargetKey]) -> bool:
    try:
        found = await counter.get(keys, timeout=0.2)
    except RemoteError:
        return False
    return all(found[key].version == counter.crowd.versions[key] for key in keys)


async def test_entries_that_come_twice_change_nothing(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd, UNCHECKED) as counter:
        gaps = missed()
        entries = [(crowd.next_name(), crowd.entry(crowd.some(KEYS, 7))) for _ in range(30)]
        for at, (name, entry) in enumerate(entries):
            await crowd.log.append(TOPIC, name, entry)
            for again in entries[max(0, at - 3) : at]:  # as a publisher does that has taken over
                await crowd.log.append(TOPIC, *again)
        await counter.assert_exact()
        assert await counter.rebuild(KEYS) == (5, 0)
        assert missed() == gaps


def missed() -> float:
    return REGISTRY.get_sample_value("plaudit_counter_log_gaps_total") or 0


async def test_after_a_missing_entry_counts_are_read_again(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd, UNCHECKED) as counter:
        await crowd.act(KEYS, 50)
        await counter.assert_exact()
        crowd.some(KEYS, 50)
        crowd.next_name()  # the entry with them never comes
        assert not await counter.is_exact()
        before = missed()
        await crowd.act([OTHER], 1)
        await eventually(counter.is_exact)
        assert missed() == before + 1


async def test_a_watch_is_sent_what_a_missing_entry_has_changed(tmp_path: Path, crowd: Crowd) -> None:
    async with (
        counter_stack(tmp_path, crowd, UNCHECKED) as counter,
        grpc.aio.insecure_channel(counter.address) as channel,
    ):
        await crowd.act(KEYS[:1], 5)
        bearer = (("authorization", f"Bearer {counter.keys.minter().mint_user('alice')}"),)
        stub: Any = pb_grpc.CounterServiceStub(channel)
        watch = stub.WatchCounts(pb.WatchCountsRequest(targets=[KEYS[0][1]]), metadata=bearer, timeout=20)
        while (await watch.read()).counts[0].version < crowd.versions[KEYS[0]]:
            pass
        crowd.some(KEYS[:1], 5)
        crowd.next_name()
        await crowd.act([OTHER], 1)
        assert (await watch.read()).counts[0].version == crowd.versions[KEYS[0]]
        watch.cancel()


async def test_after_a_restore_from_a_backup_lower_versions_are_answered(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd, UNCHECKED) as counter:
        await crowd.act(KEYS, 200)
        await counter.assert_exact()
        crowd.restore()
        crowd.held.clear()
        crowd.versions.clear()
        await crowd.append([crowd.toggle(OTHER, "alice", "👍")])
        await eventually(partial(knows, counter, [*KEYS, OTHER]))
        assert (await counter.get([OTHER, KEYS[0]])) == {OTHER: Totals(1, (("👍", 1),)), KEYS[0]: Totals()}


async def test_entries_of_a_newer_format_are_not_guessed_at(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd, UNCHECKED) as counter:
        await crowd.act(KEYS, 50)
        await counter.assert_exact()
        changes = crowd.some(KEYS, 50)
        newer = event_pb.ReactionsChanged(format=codec.FORMAT + 1)
        await crowd.log.append(TOPIC, crowd.next_name(), newer.SerializeToString())
        # Heads know what those entries say.
        await eventually(counter.is_exact)
        assert changes
        assert not await crowd.log.read(DEAD_LETTERS, 0, 10)


def drift_found() -> float:
    names = ("sample", "rebuild")
    found = [REGISTRY.get_sample_value("plaudit_counter_drift_targets_total", {"found_by": name}) for name in names]
    return sum(value or 0 for value in found)


async def plant(crowd: Crowd, keys: Sequence[TargetKey]) -> None:
    """An entry with wrong counts at the right versions, as a bug would make it."""
    changes = [crowd.toggle(key, "newcomer", "👍") for key in keys]
    crowd.entry(changes)
    wrong = payload(changes, {key: {"🐛": 7} for key in keys})
    await crowd.log.append(TOPIC, crowd.next_name(), wrong)


async def with_wrong_counts(counter: CounterStack) -> None:
    await counter.crowd.act(KEYS, 200)
    await counter.assert_exact()
    await plant(counter.crowd, KEYS[:3])
    await counter.get(KEYS, [counter.crowd.versions[key] for key in KEYS])


async def test_a_rebuild_finds_what_is_wrong_and_makes_it_right(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd, UNCHECKED) as counter:
        await with_wrong_counts(counter)
        assert (await counter.get(KEYS[:1]))[KEYS[0]].reactions == (("🐛", 7),)
        assert await counter.rebuild(KEYS) == (5, 3)
        await counter.assert_exact()
        assert await counter.rebuild() == (5, 0)


async def test_a_rebuild_lowers_a_version_that_the_records_do_not_have(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd, UNCHECKED) as counter:
        await crowd.act(KEYS, 50)
        await plant(crowd, KEYS[:1])
        await counter.get(KEYS[:1], [crowd.versions[KEYS[0]]])
        crowd.toggle(KEYS[0], "newcomer", "👍")
        crowd.versions[KEYS[0]] -= 2  # the records never had it
        assert await counter.rebuild(KEYS) == (5, 1)
        assert await counter.is_exact()


async def test_a_rebuild_of_everything_also_finds_counts_without_records(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd, UNCHECKED) as counter:
        await with_wrong_counts(counter)
        ghost: TargetKey = ("default", "messages/ghost")
        await plant(crowd, [ghost])
        await counter.get([ghost], [1])
        crowd.held.pop(ghost)
        crowd.versions.pop(ghost)
        assert await counter.rebuild() == (5, 4)
        await counter.assert_exact([*KEYS, ghost])


async def test_a_rebuild_during_changes_ends_with_exact_counts(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd, UNCHECKED) as counter:
        await with_wrong_counts(counter)
        done = asyncio.Event()
        found_before = drift_found()

        async def react() -> None:
            while not done.is_set():
                changes = crowd.some(KEYS, 20)
                await asyncio.sleep(0)  # the records are ahead of the log here
                await crowd.append(changes)

        async with asyncio.TaskGroup() as group:
            group.create_task(react())
            await counter.rebuild(KEYS)
            again = [await counter.rebuild() for _ in range(5)]
            done.set()
        # What changed again before it was compared is right by itself; none is found twice.
        assert drift_found() - found_before <= 3
        assert again == [(5, 0)] * 5
        await counter.assert_exact()


async def test_drift_is_found_by_sampling_what_changes(tmp_path: Path, crowd: Crowd) -> None:
    before = drift_found()
    async with counter_stack(tmp_path, crowd) as counter:
        await crowd.act(KEYS, 200)
        await plant(crowd, KEYS[:3])

        async def found() -> bool:
            return drift_found() - before >= 3

        await eventually(found)
        await counter.assert_exact()
        assert drift_found() - before == 3


async def test_after_a_trim_ahead_of_a_slow_counter_counts_are_read_again(tmp_path: Path, crowd: Crowd) -> None:
    slow = StalledLog(crowd.log, listening=True)
    async with counter_stack(tmp_path, crowd, UNCHECKED, log=slow) as counter:
        await crowd.act(KEYS, 50)
        await counter.assert_exact()
        slow.listening.clear()
        for _ in range(5):
            last = await crowd.act(KEYS, 50)
        await crowd.act([OTHER], 1)
        await crowd.log.trim(TOPIC, last + 1)
        slow.listening.set()
        await eventually(counter.is_exact)


async def test_a_record_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter:
        await crowd.act(KEYS, 10)
        crowd.some(KEYS, 10)
        bad = await crowd.log.append(TOPIC, crowd.next_name(), b"\xff\xff")
        await eventually(counter.is_exact)  # what was in it is read from the heads
        await crowd.act(KEYS, 10)
        await counter.assert_exact()
        (letter,) = [DeadLetter.FromString(one.payload) for one in await crowd.log.read(DEAD_LETTERS, 0, 10)]
        assert (letter.reader, letter.topic, letter.position, letter.payload) == ("counter", TOPIC, bad, b"\xff\xff")


async def test_a_watch_sends_all_then_what_changes_and_never_an_older_version(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter, grpc.aio.insecure_channel(counter.address) as channel:
        await crowd.act(KEYS, 30)
        await counter.assert_exact()
        bearer = (("authorization", f"Bearer {counter.keys.minter().mint_user('alice')}"),)
        watch: Any = pb_grpc.CounterServiceStub(channel).WatchCounts(
            pb.WatchCountsRequest(targets=[target for _, target in KEYS]), metadata=bearer, timeout=20
        )
        seen: dict[str, int] = {}
        first = await watch.read()
        assert [row.target for row in first.counts] == [target for _, target in KEYS]
        for _ in range(20):
            await crowd.act(KEYS, 5)
        latest = {row.target: row for row in first.counts}
        while any(latest[key[1]].version < crowd.versions[key] for key in KEYS):
            for row in (await watch.read()).counts:
                assert row.version > seen.get(row.target, 0)
                seen[row.target] = row.version
                latest[row.target] = row
        for key in KEYS:
            row = latest[key[1]]
            assert (row.version, {one.emoji: one.count for one in row.reactions}) == crowd.truth(key)
        watch.cancel()


async def test_a_watch_ends_with_unavailable_when_the_counter_drains(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter:
        channel = grpc.aio.insecure_channel(counter.address)
        bearer = (("authorization", f"Bearer {counter.keys.minter().mint_user('alice')}"),)
        watch: Any = pb_grpc.CounterServiceStub(channel).WatchCounts(
            pb.WatchCountsRequest(targets=["messages/1"]), metadata=bearer, timeout=20
        )
        assert (await watch.read()).counts
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await watch.read()
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    await channel.close()


async def test_watches_above_the_limit_are_refused_until_one_ends(tmp_path: Path, crowd: Crowd) -> None:
    config = Config(max_watchers=1, drift_seconds=0)
    async with counter_stack(tmp_path, crowd, config) as counter, grpc.aio.insecure_channel(counter.address) as channel:
        bearer = (("authorization", f"Bearer {counter.keys.minter().mint_user('alice')}"),)
        stub: Any = pb_grpc.CounterServiceStub(channel)
        request = pb.WatchCountsRequest(targets=["messages/1"])
        first = stub.WatchCounts(request, metadata=bearer, timeout=20)
        assert (await first.read()).counts
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.WatchCounts(request, metadata=bearer, timeout=20).read()
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        first.cancel()

        async def room() -> bool:
            try:
                return bool((await stub.WatchCounts(request, metadata=bearer, timeout=20).read()).counts)
            except grpc.aio.AioRpcError:
                return False

        await eventually(room)


@pytest.mark.parametrize(
    ("request_", "field", "reason"),
    [
        (pb.GetCountsRequest(targets=["messages/1,nonsense/2"]), "target", "INVALID_TARGET"),
        (pb.GetCountsRequest(targets=[",".join(["messages/1"] * 1001)]), "targets", "INVALID_REQUEST"),
        (pb.GetCountsRequest(targets=["messages/1,messages/2"], min_versions=[1]), "min_versions", "INVALID_REQUEST"),
        (pb.GetCountsRequest(targets=["messages/1"], min_versions=[-1]), "min_versions", "INVALID_REQUEST"),
        (pb.GetCountsRequest(), "targets", "INVALID_REQUEST"),
    ],
)
async def test_malformed_questions_are_refused_with_their_field(
    tmp_path: Path, crowd: Crowd, request_: pb.GetCountsRequest, field: str, reason: str
) -> None:
    async with counter_stack(tmp_path, crowd) as counter:
        with pytest.raises(RemoteError) as caught:
            await counter.mesh.call(GET, request_.SerializeToString(), tenant="default", user="alice")
        found = caught.value
        assert (found.code, found.field, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, field, reason)


async def test_one_string_may_name_several_targets(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter:
        request = pb.GetCountsRequest(targets=["messages/1,messages/2", "posts/3"])
        answer = await counter.mesh.call(GET, request.SerializeToString(), user="alice")
        rows = pb.GetCountsResponse.FromString(answer).counts
        assert [row.target for row in rows] == ["messages/1", "messages/2", "posts/3"]


async def test_a_user_sees_the_own_tenant_only_whatever_the_request_says(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter:
        await crowd.append([crowd.toggle(("acme", "messages/0"), "eve", "👍"), crowd.toggle(KEYS[0], "bob", "❤")])
        await counter.get([KEYS[0], ("acme", "messages/0")], [1, 1])
        request = pb.GetCountsRequest(targets=["messages/0"], tenants=["acme"])
        answer = await counter.mesh.call(GET, request.SerializeToString(), user="bob", tenant="default")
        assert pb.GetCountsResponse.FromString(answer).counts[0].reactions[0].emoji == "❤"
        one = pb.GetReactionCountsRequest(target="messages/0")
        answer = await counter.mesh.call(GET_ONE, one.SerializeToString(), user="eve", tenant="acme")
        assert pb.GetReactionCountsResponse.FromString(answer).reactions[0].emoji == "👍"


async def test_a_service_without_the_scope_asks_in_its_own_tenant_only(tmp_path: Path, crowd: Crowd) -> None:
    async with counter_stack(tmp_path, crowd) as counter, grpc.aio.insecure_channel(counter.address) as channel:
        for scopes, method, request in (
            (("act-as",), GET, pb.GetCountsRequest(targets=["messages/0"], tenants=["acme"])),
            (("act-as", "audit"), REBUILD, pb.RebuildRequest(targets=["messages/0"], tenant="acme")),
            (("act-as", "audit"), REBUILD, pb.RebuildRequest()),
        ):
            token = counter.keys.minter().mint_service("narrow", scopes)
            call: Any = channel.unary_unary(method)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(request.SerializeToString(), metadata=(("authorization", f"Bearer {token}"),))
            assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
            assert "may not call this method" not in str(caught.value.details())


async def test_memory_holds_no_more_targets_than_it_may(tmp_path: Path, crowd: Crowd) -> None:
    small = Config(targets_in_memory=2_000, drift_seconds=0)
    many: list[TargetKey] = [("default", f"posts/{n}") for n in range(6_000)]
    async with counter_stack(tmp_path, crowd, small) as counter:
        for start in range(0, len(many), 500):
            await crowd.append([crowd.toggle(key, "alice", "👍") for key in many[start : start + 500]])
        for start in range(0, len(many), 1_000):
            await counter.assert_exact(many[start : start + 1_000])

        async def bounded() -> bool:
            return (REGISTRY.get_sample_value("plaudit_counter_targets_in_memory") or 0) <= 2_000

        await eventually(bounded)
