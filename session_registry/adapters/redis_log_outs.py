"""Log outs in Redis: one hash with a field per user, written by the leading registry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kit.tenant_keys import UserKey
from session_registry.domain import Term
from session_registry.log_outs import LogOutRecord

if TYPE_CHECKING:
    from kit.adapters.redis.engine import Redis

_HERE = Path(__file__).parent
_PAGE = 1_000


class RedisLogOuts:
    """See `ports.LogOutStore`. `keep`: seconds after the last change, after which all of them are over."""

    def __init__(self, redis: Redis, keep: float) -> None:
        self._redis = redis
        self._write = redis.script(_HERE / "log_outs_write.lua")
        self._keep = round(keep * 1000)
        self._key = redis.key("registry", "log_outs")

    async def write(self, term: Term, records: Mapping[UserKey, LogOutRecord]) -> bool:
        """See `ports.LogOutStore`."""
        return await self._change(term, {user: _text_of(record) for user, record in records.items()})

    async def remove(self, term: Term, users: Sequence[UserKey]) -> bool:
        """See `ports.LogOutStore`."""
        return await self._change(term, dict.fromkeys(users, ""))

    async def read(self) -> Mapping[UserKey, LogOutRecord]:
        """See `ports.LogOutStore`."""
        records: dict[UserKey, LogOutRecord] = {}
        cursor = b"0"
        while True:
            cursor, found = await self._redis.client.execute_command("HSCAN", self._key, cursor, "COUNT", _PAGE)
            pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
            for field, text in pairs:
                if field:
                    tenant, _, user = field.decode().partition("/")
                    records[tenant, user] = _record_of(text)
            if int(cursor) == 0:
                return records

    async def _change(self, term: Term, texts: Mapping[UserKey, str]) -> bool:
        args: list[str | int] = [term.number, self._keep]
        for (tenant, user), text in texts.items():
            args += (f"{tenant}/{user}", text)
        return bool(await self._write([self._key], args))


def _text_of(record: LogOutRecord) -> str:
    return json.dumps([record.everywhere, record.until, record.devices]).replace(" ", "")


def _record_of(text: bytes) -> LogOutRecord:
    everywhere, until, devices = json.loads(text)
    return LogOutRecord(everywhere, devices, until)
