"""Real engines for a system under test, on free ports and with empty folders, unpinned: they take what is left."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bench.processes import Skipped
from engines import CannotRun
from engines.group import running
from stack.settings.model import ENGINE_OF, Settings
from stack.storage.migrate import migrate


@contextmanager
def engine_settings(*names: str) -> Iterator[Mapping[str, str]]:
    """Settings of a system on these engines, with tables and topics made; raises Skipped where one cannot be had."""
    try:
        with running(names) as servers:
            urls = {name: f"{name}://127.0.0.1:{server.port}/{_NAMES[name]}" for name, server in servers.items()}
            chosen = {setting: urls[engine] for setting, engine in ENGINE_OF.items() if engine in urls}
            asyncio.run(migrate(Settings.model_validate(chosen)))
            yield {f"PLAUDIT_{setting.upper()}": url for setting, url in chosen.items()} | _PATIENT
    except CannotRun as reason:
        raise Skipped(str(reason)) from None


# A server that has just started on cores it shares is slow for its first writes; that is not what is measured.
_PATIENT = {"PLAUDIT_REACTION__WRITE_SECONDS": "10"}
# Of the database, the keyspace and the topics' prefix.
_NAMES = {"redis": "0", "cassandra": "bench", "kafka": "bench"}
