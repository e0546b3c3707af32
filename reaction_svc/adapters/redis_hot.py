"""Redis as the arbiter: whether a target still stands where a batch was decided, and who may write at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from kit.adapters.redis import Redis
from kit.ids import new_id

Key = tuple[str, str]
_WAIT_MS = 250  # who waits for a claim is forgotten unless it asks again in this time
_FOLDER = Path(__file__).parent
# What a batch does to the latest holders of an emoji: the emoji; version, user, … of those added; users dropped.
ListChange = tuple[str, list[int | str], list[str]]
# Of a target: people whose reactions have changed, and whether they still hold any.
Held = tuple[Key, Sequence[tuple[str, bool]]]
_encode = msgspec.msgpack.Encoder().encode


class Lost(Exception):
    """Redis has lost its memory, or is not the one that was asked before: nothing was done."""


class Fenced(Exception):
    """Another process has taken over this writer's work: nothing was done."""


class Moved(Exception):
    """Targets have moved on since the batch was decided, or another writer is to be next there: nothing was done."""

    def __init__(self, places: Sequence[int]) -> None:
        super().__init__(f"{len(places)} targets have moved on")
        self.places = places


class Generation(NamedTuple):
    """One memory of Redis: between two losses. Batches may be decided once it is ready."""

    id: str
    ready: bool
    age: float
    """Seconds."""


class Standing(NamedTuple):
    """Where a target stands: its token, "" where Redis does not know it, and the last batch: its writer and number."""

    token: str
    writer: str
    seq: int


class TargetChange(NamedTuple):
    """What a batch does to one target. `token`: the new one, "" where only `expected` is to be verified."""

    key: Key
    expected: str
    token: str = ""
    base: int = 0
    """The version from before the batch: below it, lists made now are not complete."""
    lists: Sequence[ListChange] = ()


class Hot:
    """The scripts, and the names of keys."""

    def __init__(self, redis: Redis, retention_seconds: float, lease_seconds: float) -> None:
        self._redis = redis
        self._generation_key = redis.key("reactions", "generation")
        self._pending = redis.key("reactions", "pending", "")
        self._writer = redis.key("reactions", "writer", "")
        self._retention = str(round(retention_seconds * 1000))
        self._lease = str(round(lease_seconds * 1000))
        self._begin = redis.script(_FOLDER / "redis_generation.lua")
        self._write = redis.script(_FOLDER / "redis_writer.lua")
        self._load = redis.script(_FOLDER / "redis_load.lua", reads=True)
        self._claim = redis.script(_FOLDER / "redis_claim.lua")
        self._change = redis.script(_FOLDER / "redis_change.lua")
        self._people = redis.script(_FOLDER / "redis_people.lua")
        self._page = redis.script(_FOLDER / "redis_page.lua", reads=True)

    async def generation(self) -> Generation:
        """The generation there is; begins one where Redis knows of none."""
        id_, ready, age = await self._begin([self._generation_key], [new_id()])
        return Generation(id_.decode(), ready == b"1", int(age) / 1000)

    async def ready(self, generation: str) -> None:
        """Declares that the generation has recovered what there was to recover. Raises Lost."""
        await self._ask("ready", generation, "", "")

    async def enter(self, generation: str, node: str, by: str) -> None:
        """Becomes the writer `node`. Raises Lost, and Fenced where there is one."""
        await self._ask("enter", generation, node, by, self._lease)

    async def touch(self, generation: str, node: str, by: str, published: int, confirmed: Iterable[int] = ()) -> None:
        """Stays the writer for another lease, and lets go of confirmed batches. Raises Lost and Fenced."""
        await self._ask("touch", generation, node, by, self._lease, str(published), *map(str, confirmed))

    async def settle(self, generation: str, node: str, attempt: int) -> int:
        """The last batch that was taken; no attempt up to this one takes effect from now on. Raises Lost and Fenced."""
        (last,) = await self._ask("settle", generation, node, node, str(attempt))
        return int(last)

    async def finish(self, generation: str, node: str, by: str) -> None:
        """Forgets a writer that has nothing left to do. Raises Lost and Fenced."""
        await self._ask("finish", generation, node, by)

    async def leave(self, generation: str, node: str, by: str) -> None:
        """Lets others take over at once what the writer has left undone. Raises Lost and Fenced."""
        await self._ask("leave", generation, node, by)

    async def confirm(self, generation: str, node: str, seqs: Iterable[int]) -> None:
        """Lets go of batches of a writer that another has completed. Raises Lost."""
        await self._ask("confirm", generation, node, "", *map(str, seqs))

    async def lock(self, name: str, seconds: float) -> bool:
        """Takes a lock that goes away by itself; whether it was free."""
        key = self._redis.key("reactions", "lock", name)
        return bool(await self._redis.client.execute_command("SET", key, "1", "NX", "PX", round(seconds * 1000)))

    async def pending(self, generation: str, node: str) -> dict[int, bytes]:
        """The batches of a writer that are not confirmed, in order. Raises Lost."""
        found = await self._ask("pending", generation, node, "")
        return dict(sorted((int(seq), batch) for seq, batch in zip(found[::2], found[1::2], strict=True)))

    async def published(self, node: str) -> int | None:
        """Up to which batch a writer has published; None where Redis does not know the writer."""
        found: Any = await self._redis.client.execute_command("HGET", self._writer + node, "published")
        return None if found is None else int(found)

    async def load(self, generation: str, keys: Sequence[Key]) -> tuple[list[Standing], Mapping[str, Sequence[int]]]:
        """Where the targets stand, in order, and what each of their last writers has not confirmed. Raises Lost."""
        answer = await self._load([self._generation_key, *map(self._hot, keys)], [generation, self._pending])
        if answer[0] != b"ok":
            raise Lost
        standing = [
            Standing(found[0].decode(), found[1].decode(), int(found[2])) if found else Standing("", "", 0)
            for found in answer[1]
        ]
        rows = answer[2]
        writers = {node.decode(): [int(seq) for seq in seqs] for node, seqs in zip(rows[::2], rows[1::2], strict=True)}
        return standing, writers

    async def claim(
        self, generation: str, node: str, keys: Sequence[Key], seconds: float, place: str = ""
    ) -> tuple[bool, str]:
        """Makes the writer the next on all of these targets, for so long at most: whether it is, and its place.

        Who is not, and asks again soon with its place, is before those who came later. With 0 seconds it lets go of
        them. Targets unknown to Redis are nobody's. Raises Lost.
        """
        keys_ = [self._generation_key, *map(self._hot, keys)]
        what, *more = await self._claim(keys_, [generation, node, round(seconds * 1000), _WAIT_MS, place])
        if what == b"lost":
            raise Lost
        return what == b"ok", more[0].decode()

    async def change(
        self,
        generation: str,
        node: str,
        attempt: int,
        seq: int,
        batch: bytes,
        changes: Sequence[TargetChange],
        published: int,
        confirmed: Sequence[int],
    ) -> None:
        """Takes a batch, or with an empty one only verifies the targets; whole or not at all.

        `attempt` grows with every call of a writer, `seq` with every batch taken. Raises Lost, Fenced and Moved;
        `kit.errors.OutcomeUnknown` where no answer came.
        """
        keys = [self._generation_key, self._writer + node, self._pending + node]
        args: list[str | bytes] = [generation, node, str(attempt), str(seq), batch, self._lease]
        args += [str(published), self._retention, str(len(confirmed)), *map(str, confirmed)]
        keys += [self._hot(change.key) for change in changes]
        args += [change.expected for change in changes]
        if batch:
            args.append(
                _encode([(change.token, change.base, self._lists(change.key), change.lists) for change in changes])
            )
        answer = await self._change(keys, args)
        what = answer[0]
        if what == b"conflict":
            raise Moved([int(place) - 1 for place in answer[1:]])
        _refuse(what)

    async def remember(self, held: Iterable[Held]) -> None:
        """Keeps the targets on which people hold something, by conversation: best effort, the records know better."""
        rows: list[str | bool] = []
        for (tenant, target), people in held:
            # Until there are conversations, a collection is one.
            collection = target.partition("/")[0]
            start = f"{self._redis.prefix}user_reactions:{{{quote(tenant, safe='')}/"
            for user, any_ in people:
                rows += (f"{start}{user}}}:{collection}", target, any_)
        await self._people([], [self._retention, _encode(rows)])

    async def page(
        self, generation: str, key: Key, emoji: str, before: int, limit: int
    ) -> tuple[int, list[tuple[str, int, list[tuple[str, int]]]]] | None:
        """For one emoji, or for "" for each: the version its list is complete down to, and its latest holders.

        Before them, the version that all lists not given are complete (and empty) down to. None where the target is
        not known to this memory of Redis.
        """
        args = [generation, self._lists(key), emoji, str(before), str(limit)]
        answer = await self._page([self._generation_key, self._hot(key)], args)
        if answer[0] != b"ok":
            return None
        return int(answer[2]), [
            (
                name.decode(),
                int(floor),
                [(user.decode(), int(at)) for user, at in zip(rows[::2], rows[1::2], strict=True)],
            )
            for name, floor, rows in answer[1]
        ]

    def _hot(self, key: Key) -> str:
        return f"{self._redis.prefix}hot:{{{_place(key)}}}"

    def _lists(self, key: Key) -> str:
        return f"{self._redis.prefix}reactions:{{{_place(key)}}}:"

    async def _ask(self, what: str, generation: str, node: str, by: str, *more: str) -> Sequence[Any]:
        keys = [self._generation_key, self._writer + node, self._pending + node]
        answer = await self._write(keys, [what, generation, by, *more])
        _refuse(answer[0])
        return list(answer[1:])


def _refuse(what: bytes) -> None:
    if what == b"lost":
        raise Lost
    if what != b"ok":
        raise Fenced


def _place(key: Key) -> str:
    # No two targets have one name: a tenant's / is written otherwise, a target has exactly one.
    return f"{quote(key[0], safe='')}/{key[1]}"
