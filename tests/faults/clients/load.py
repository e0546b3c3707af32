"""The load of a trial: random changes of reactions from a seed."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

import uuid_utils

from tests.faults.clients.grpc_clients import Change, GrpcClient, Reply
from tests.faults.clients.open_load import BACKOFF, OpenLoad
from tests.faults.clients.ws_clients import WsClient

TENANTS = ("default", "acme")
TARGETS = (
    *(f"messages/m{n}" for n in range(9)),
    *(f"posts/p{n}" for n in range(5)),
    "comments/c0",
    "streams/s0",
)
EMOJIS = ("👍", "❤", "😆", "😮", "🎉")
KINDS = {"toggle": 50, "add": 14, "remove": 7, "clear": 5, "switch": 16, "batch": 8}
_BATCH = 12


class Load(OpenLoad[Change]):
    """Sends changes: of some users through gRPC stubs, of others through WebSocket clients."""

    def __init__(
        self,
        grpc_clients: Sequence[GrpcClient],
        ws_clients: Sequence[WsClient],
        rate: float,
        seed: int,
        repeated: float,
        spread: float,
    ) -> None:
        """`repeated`: the share of operations sent several times, within `spread` seconds."""
        super().__init__(rate, seed, repeated, spread)
        self.users = [(tenant, f"u{n}") for n in range(60) for tenant in TENANTS]
        self._grpc_clients = grpc_clients
        self._ws_clients: dict[tuple[str, str], list[WsClient]] = {}
        for client in ws_clients:
            self._ws_clients.setdefault((client.tenant, client.user), []).append(client)
        self._callers = list(self._ws_clients)

    def next_work(self) -> tuple[Coroutine[Any, Any, None], int]:
        chance = self._random
        kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
        if kind == "batch" and not self._grpc_clients:
            kind = "toggle"
        if kind == "batch":
            tenant = chance.choice(TENANTS)
            users = [one for one in self.users if one[0] == tenant]
            size = chance.randint(2, _BATCH)
            return self._batch([self._change(chance.choice(users), "toggle") for _ in range(size)]), size
        by_websocket = bool(self._callers) and (not self._grpc_clients or chance.random() < 0.5)
        who = chance.choice(self._callers if by_websocket else self.users)
        return self.repeated(self._change(who, kind)), 1

    async def attempt(self, operation: Change) -> Reply | None:
        ws_clients = self._ws_clients.get((operation.tenant, operation.user))
        if ws_clients:
            return await self._random.choice(ws_clients).change(operation)
        return await self._random.choice(self._grpc_clients).change(operation)

    def _change(self, who: tuple[str, str], kind: str) -> Change:
        chance = self._random
        if kind == "switch":
            target, action = f"posts/p{chance.randrange(5)}", "add"
        else:
            target, action = chance.choice(TARGETS), kind
        # Mostly UUIDv7, as recommended, and some ids without a time.
        op_id = str(uuid_utils.uuid7()) if chance.random() < 0.9 else f"op-{chance.getrandbits(64):x}"
        return Change(op_id, who[0], target, who[1], "" if action == "clear" else chance.choice(EMOJIS), action)

    async def _batch(self, changes: list[Change]) -> None:
        wait = BACKOFF[0]
        while changes:
            replies = await self._random.choice(self._grpc_clients).batch(changes)
            for reply in replies:
                self.count_reply(reply)
            changes = [change for change, reply in zip(changes, replies, strict=True) if not reply.final]
            if changes and self.is_over:
                self.tally.gave_up += len(changes)
                return
            if changes:
                wait = await self.pause(None, wait)
