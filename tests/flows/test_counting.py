"""From the reaction log to exact counts: a real log, a real store, real gRPC between the rooms."""

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

from counter_svc.adapters.sqlite import opened_sqlite_stores
from counter_svc.app import opened
from counter_svc.config import Config
from counter_svc.domain import Totals
from kit.adapters.sqlite_log import SqliteLog, open_sqlite_log
from kit.deadletters import TOPIC as DEAD_LETTERS
from kit.engines import Engines
from kit.errors import RemoteError
from kit.mesh import Mesh, connected
from kit.server import Hosted, ServerLimits, serving
from kit.tokens import Keys, open_keys
from plaudit.counter.v1 import counter_service_pb2 as pb
from plaudit.counter.v1 import counter_service_pb2_grpc as pb_grpc
from plaudit.event.v1.dead_letter_pb2 import DeadLetter
from plaudit.reaction.v1 import reaction_service_pb2_grpc
from tests.flows.crowd import TOPIC, Crowd, CrowdServicer, DeafLog, Key, eventually

GET = "/plaudit.counter.v1.CounterService/GetCounts"
GET_ONE = "/plaudit.counter.v1.CounterService/GetReactionCounts"
REBUILD = "/plaudit.counter.v1.CounterService/Rebuild"
KEYS: list[Key] = [("default", f"messages/{n}") for n in range(5)]
QUICK = Config(save_seconds=0.01, drift_seconds=0.05, watch_seconds=0.001)


class Addresses:
    """Where services are, filled in once they are there."""

    def __init__(self) -> None:
        self.found: tuple[str, ...] = ()

    def addresses(self, service: str) -> tuple[str, ...]:
        return self.found

    def address_of(self, node_id: str) -> str:
        return ""


@dataclass
class House:
    """A counter beside a reaction service, as a user of both sees them."""

    crowd: Crowd
    mesh: Mesh
    keys: Keys
    address: str

    async def get(self, keys: Sequence[Key], least: Sequence[int] = (), timeout: float = 5.0) -> dict[Key, Totals]:
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

    async def assert_exact(self, keys: Sequence[Key] = KEYS) -> None:
        least = [self.crowd.versions[key] for key in keys]
        for key, found in (await self.get(keys, least)).items():
            assert (found.version, dict(found.reactions)) == self.crowd.truth(key), key

    async def is_exact(self, keys: Sequence[Key] = KEYS) -> bool:
        found = await self.get(keys)
        return all(dict(value.reactions) == self.crowd.truth(key)[1] for key, value in found.items())

    async def rebuild(self, keys: Sequence[Key] = ()) -> tuple[int, int]:
        request = pb.RebuildRequest(tenant="default", targets=[target for _, target in keys])
        done = pb.RebuildResponse.FromString(await self.mesh.call(REBUILD, request.SerializeToString(), timeout=20))
        return done.targets, done.drifted


@asynccontextmanager
async def house(
    folder: Path, crowd: Crowd, config: Config = QUICK, log: Any = None, truthful: bool = True
) -> AsyncIterator[House]:
    """A counter on the folder's data, serving; ends like a crash would not: saved and closed."""
    keys = open_keys(folder / "keys")
    token = keys.minter().mint_service("test", ("act-as", "tenants"))
    places = Addresses()
    records: Any = CrowdServicer(crowd)
    peer = Hosted(records, reaction_service_pb2_grpc.add_ReactionServiceServicer_to_server)
    limits = ServerLimits(grace=0.5)
    async with (
        connected(places, lambda: token) as mesh,
        opened(config, mesh, Engines(folder, log or crowd.log)) as hosted,
        serving([*hosted, *([peer] if truthful else [])], verifier=keys.verifier(), limits=limits) as server,
    ):
        mesh.own_address, places.found = server.address, (server.address,)
        yield House(crowd, mesh, keys, server.address)


@pytest.fixture(name="log")
async def fixture_log(tmp_path: Path) -> AsyncIterator[SqliteLog]:
    async with open_sqlite_log(tmp_path / "reactions.db") as log:
        yield log


@pytest.fixture(name="crowd")
def fixture_crowd(log: SqliteLog) -> Crowd:
    return Crowd(log)


async def test_one_reads_ones_own_writes(tmp_path: Path, crowd: Crowd) -> None:
    async with house(tmp_path, crowd) as counter:
        for _ in range(20):
            await crowd.act(KEYS, 10)
            await counter.assert_exact()


async def test_who_asks_for_a_version_does_not_wait_until_somebody_tells_of_new_records(
    tmp_path: Path, crowd: Crowd
) -> None:
    async with house(tmp_path, crowd, log=DeafLog(crowd.log, listening=True, told=False)) as counter:
        for _ in range(5):
            await crowd.act(KEYS, 10)
            await counter.assert_exact()


async def test_a_target_nobody_reacted_to_has_version_0(tmp_path: Path, crowd: Crowd) -> None:
    async with house(tmp_path, crowd) as counter:
        assert await counter.get(KEYS[:1]) == {KEYS[0]: Totals(0, ())}


async def test_a_version_that_does_not_come_is_refused_in_time(tmp_path: Path, crowd: Crowd) -> None:
    async with house(tmp_path, crowd) as counter:
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


async def test_what_was_counted_and_not_saved_is_counted_again_and_not_twice(tmp_path: Path, crowd: Crowd) -> None:
    """A counter dies between the fold and the save, and another one goes on with its file."""
    never = Config(save_seconds=60, drift_seconds=0)
    (tmp_path / "crashed").mkdir()
    async with house(tmp_path, crowd) as counter:
        await crowd.act(KEYS, 100)
        await counter.assert_exact()
    async with house(tmp_path, crowd, never) as counter:
        await crowd.act(KEYS, 100)
        await counter.assert_exact()
        for name in ("counts.db", "counts.db-wal"):  # the files as a kill would leave them
            (tmp_path / "crashed" / name).write_bytes((tmp_path / name).read_bytes())
    await crowd.act(KEYS, 100)
    async with house(tmp_path / "crashed", crowd) as counter:
        await counter.assert_exact()
        assert await counter.rebuild() == (5, 0)


class Slow:
    """A log that shows that there is more, and does not tell what until it is let go."""

    def __init__(self, log: SqliteLog) -> None:
        self._log = log
        self.let_go = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def read(self, topic: str, after: int, limit: int, partition: int = 0) -> Any:
        if limit > 1:
            await self.let_go.wait()
        return await self._log.read(topic, after, limit, partition)


async def test_a_counter_that_comes_back_does_not_answer_from_before_it_went(tmp_path: Path, crowd: Crowd) -> None:
    async with house(tmp_path, crowd) as counter:
        await crowd.act(KEYS, 100)
        await counter.assert_exact()
    await crowd.act(KEYS, 100)
    slow = Slow(crowd.log)
    async with house(tmp_path, crowd, log=slow) as counter:
        with pytest.raises(RemoteError, match=r"caught up|reached"):
            await counter.get(KEYS, timeout=0.3)
        slow.let_go.set()
        found = await counter.get(KEYS)
        assert {key: value.version for key, value in found.items()} == {key: crowd.versions[key] for key in KEYS}


class Stuttering:
    """A log that delivers what it has delivered before, and out of order, as a rebalanced consumer group may."""

    def __init__(self, log: SqliteLog) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def read(self, topic: str, after: int, limit: int, partition: int = 0) -> list[Any]:
        fresh = list(await self._log.read(topic, after, limit))
        earlier = list(await self._log.read(topic, max(0, after - 3), 3)) if fresh else []
        return [*reversed(fresh), *earlier, *fresh]


async def test_records_that_come_twice_and_out_of_order_count_once(tmp_path: Path, crowd: Crowd) -> None:
    async with house(tmp_path, crowd, log=Stuttering(crowd.log)) as counter:
        for _ in range(30):
            await crowd.act(KEYS, 7)
        await counter.assert_exact()
        assert await counter.rebuild(KEYS) == (5, 0)


def drift_found() -> float:
    names = ("fold", "sample", "rebuild")
    found = [REGISTRY.get_sample_value("plaudit_counter_drift_targets_total", {"found_by": name}) for name in names]
    return sum(value or 0 for value in found)


async def plant(folder: Path, wrong: dict[Key, Totals]) -> None:
    """Wrong counts at the versions that are saved, as a bug would leave them."""
    async with opened_sqlite_stores(folder, 1) as stores:
        store = stores.of(0)
        await store.save(wrong, await store.position())


async def wrong_counts(folder: Path, crowd: Crowd) -> None:
    async with house(folder, crowd) as counter:
        await crowd.act(KEYS, 200)
        await counter.assert_exact()
    await plant(folder, {key: Totals(crowd.versions[key], (("🐛", 7),)) for key in KEYS[:3]})


async def test_a_rebuild_finds_what_is_wrong_and_makes_it_right(tmp_path: Path, crowd: Crowd) -> None:
    await wrong_counts(tmp_path, crowd)
    async with house(tmp_path, crowd, Config(drift_seconds=0)) as counter:
        assert (await counter.get(KEYS[:1]))[KEYS[0]].reactions == (("🐛", 7),)
        assert await counter.rebuild(KEYS) == (5, 3)
        await counter.assert_exact()
        assert await counter.rebuild() == (5, 0)


async def test_a_rebuild_of_everything_also_finds_counts_without_records(tmp_path: Path, crowd: Crowd) -> None:
    await wrong_counts(tmp_path, crowd)
    ghost: Key = ("default", "messages/ghost")
    await plant(tmp_path, {ghost: Totals(9, (("👻", 1),))})
    async with house(tmp_path, crowd, Config(drift_seconds=0)) as counter:
        assert await counter.rebuild() == (5, 4)
        await counter.assert_exact([*KEYS, ghost])


async def test_a_rebuild_while_everybody_reacts_ends_exact(tmp_path: Path, crowd: Crowd) -> None:
    await wrong_counts(tmp_path, crowd)
    async with house(tmp_path, crowd, Config(drift_seconds=0)) as counter:
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
        # Some are found by the fold itself, where a count would go below zero; none is found twice.
        assert drift_found() - found_before == 3
        assert again == [(5, 0)] * 5
        await counter.assert_exact()


async def test_drift_is_found_by_sampling_what_changes(tmp_path: Path, crowd: Crowd) -> None:
    await wrong_counts(tmp_path, crowd)
    before = drift_found()
    async with house(tmp_path, crowd) as counter:
        await crowd.append([crowd.toggle(key, "newcomer", "👍") for key in KEYS])

        async def found() -> bool:
            return drift_found() - before >= 3

        await eventually(found)
        await counter.assert_exact()
        assert drift_found() - before == 3


async def test_a_count_that_would_go_below_zero_is_counted_anew(tmp_path: Path, crowd: Crowd) -> None:
    await crowd.act(KEYS, 100)
    async with house(tmp_path, crowd) as counter:
        await counter.assert_exact()
    await plant(tmp_path, {key: Totals(crowd.versions[key], ()) for key in KEYS})
    async with house(tmp_path, crowd, Config(drift_seconds=0)) as counter:
        user, emoji = next(iter(crowd.held[KEYS[0]]))
        await crowd.append([crowd.toggle(KEYS[0], user, emoji)])
        await eventually(partial(counter.is_exact, KEYS[:1]))


async def test_where_the_log_has_been_trimmed_everything_is_counted_anew(tmp_path: Path, crowd: Crowd) -> None:
    async with house(tmp_path, crowd) as counter:
        await crowd.act(KEYS, 50)
        await counter.assert_exact()
    for _ in range(5):
        last = await crowd.act(KEYS, 50)
    await crowd.log.trim(TOPIC, last)
    async with house(tmp_path, crowd, Config(drift_seconds=0)) as counter:
        await eventually(counter.is_exact)


async def test_where_the_log_is_trimmed_beyond_a_slow_counter_everything_is_counted_anew(
    tmp_path: Path, crowd: Crowd
) -> None:
    slow = DeafLog(crowd.log)
    async with house(tmp_path, crowd, Config(drift_seconds=0), log=slow) as counter:
        assert (await counter.get(KEYS[:1]))[KEYS[0]].version == 0
        for _ in range(5):
            last = await crowd.act(KEYS, 50)
        await crowd.log.trim(TOPIC, last)
        slow.listening.set()
        await eventually(counter.is_exact)


async def test_a_rebuild_after_a_trim_that_a_crash_interrupts_begins_again(tmp_path: Path, crowd: Crowd) -> None:
    async with house(tmp_path, crowd) as counter:
        await crowd.act(KEYS, 50)
        await counter.assert_exact()
    for _ in range(5):
        last = await crowd.act(KEYS, 50)
    await crowd.log.trim(TOPIC, last)
    async with house(tmp_path, crowd, Config(drift_seconds=0), truthful=False) as counter:  # nobody can count
        await counter.get(KEYS[:1], [crowd.versions[KEYS[0]]])
    async with house(tmp_path, crowd, Config(drift_seconds=0)) as counter:
        await eventually(counter.is_exact)


async def test_a_record_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path, crowd: Crowd) -> None:
    async with house(tmp_path, crowd) as counter:
        await crowd.act(KEYS, 10)
        bad = await crowd.log.append(TOPIC, "0", b"\xff\xff")
        await crowd.act(KEYS, 10)
        await counter.assert_exact()
        (letter,) = [DeadLetter.FromString(one.payload) for one in await crowd.log.read(DEAD_LETTERS, 0, 10)]
        assert (letter.reader, letter.topic, letter.position, letter.payload) == ("counter", TOPIC, bad, b"\xff\xff")


async def test_a_watch_sends_all_then_what_changes_and_never_an_older_version(tmp_path: Path, crowd: Crowd) -> None:
    async with house(tmp_path, crowd) as counter, grpc.aio.insecure_channel(counter.address) as channel:
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


async def test_a_watch_ends_with_unavailable_when_the_room_drains(tmp_path: Path, crowd: Crowd) -> None:
    async with house(tmp_path, crowd) as counter:
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


async def test_watches_above_the_limit_are_refused_and_one_that_ends_makes_room(tmp_path: Path, crowd: Crowd) -> None:
    config = Config(max_watchers=1, drift_seconds=0)
    async with house(tmp_path, crowd, config) as counter, grpc.aio.insecure_channel(counter.address) as channel:
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
    async with house(tmp_path, crowd) as counter:
        with pytest.raises(RemoteError) as caught:
            await counter.mesh.call(GET, request_.SerializeToString(), tenant="default", user="alice")
        found = caught.value
        assert (found.code, found.field, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, field, reason)


async def test_one_string_may_name_several_targets(tmp_path: Path, crowd: Crowd) -> None:
    async with house(tmp_path, crowd) as counter:
        request = pb.GetCountsRequest(targets=["messages/1,messages/2", "posts/3"])
        answer = await counter.mesh.call(GET, request.SerializeToString(), user="alice")
        rows = pb.GetCountsResponse.FromString(answer).counts
        assert [row.target for row in rows] == ["messages/1", "messages/2", "posts/3"]


async def test_a_user_sees_the_own_tenant_only_whatever_the_request_says(tmp_path: Path, crowd: Crowd) -> None:
    async with house(tmp_path, crowd) as counter:
        await crowd.append([crowd.toggle(("acme", "messages/0"), "eve", "👍"), crowd.toggle(KEYS[0], "bob", "❤")])
        await counter.get([KEYS[0], ("acme", "messages/0")], [1, 1])
        request = pb.GetCountsRequest(targets=["messages/0"], tenants=["acme"])
        answer = await counter.mesh.call(GET, request.SerializeToString(), user="bob", tenant="default")
        assert pb.GetCountsResponse.FromString(answer).counts[0].reactions[0].emoji == "❤"
        one = pb.GetReactionCountsRequest(target="messages/0")
        answer = await counter.mesh.call(GET_ONE, one.SerializeToString(), user="eve", tenant="acme")
        assert pb.GetReactionCountsResponse.FromString(answer).reactions[0].emoji == "👍"


async def test_a_service_without_the_scope_asks_in_its_own_tenant_only(tmp_path: Path, crowd: Crowd) -> None:
    async with house(tmp_path, crowd) as counter:
        token = counter.keys.minter().mint_service("narrow", ("act-as",))
        places = Addresses()
        places.found = (counter.address,)
        async with connected(places, lambda: token) as narrow:
            for method, request in (
                (GET, pb.GetCountsRequest(targets=["messages/0"], tenants=["acme"])),
                (REBUILD, pb.RebuildRequest(targets=["messages/0"], tenant="acme")),
                (REBUILD, pb.RebuildRequest()),
            ):
                with pytest.raises(RemoteError) as caught:
                    await narrow.call(method, request.SerializeToString())
                assert caught.value.code == grpc.StatusCode.PERMISSION_DENIED


async def test_memory_holds_no_more_targets_than_it_may(tmp_path: Path, crowd: Crowd) -> None:
    small = Config(targets_in_memory=2_000, save_seconds=0.01, drift_seconds=0)
    many: list[Key] = [("default", f"posts/{n}") for n in range(6_000)]
    async with house(tmp_path, crowd, small) as counter:
        for start in range(0, len(many), 500):
            await crowd.append([crowd.toggle(key, "alice", "👍") for key in many[start : start + 500]])
        for start in range(0, len(many), 1_000):
            await counter.assert_exact(many[start : start + 1_000])

        async def bounded() -> bool:
            return (REGISTRY.get_sample_value("plaudit_counter_targets_in_memory") or 0) <= 2_000

        await eventually(bounded)
