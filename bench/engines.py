"""Engines for a system under test, on free ports and with empty folders, not pinned to a core."""

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
    """Yields settings of a system on these engines, migrated; raises Skipped if an engine is not available."""
    try:
        with running(names) as servers:
            urls = {name: f"{name}://127.0.0.1:{server.port}/{_NAMES[name]}" for name, server in servers.items()}
            chosen = {setting: urls[engine] for setting, engine in ENGINE_OF.items() if engine in urls}
            asyncio.run(migrate(Settings.model_validate(chosen)))
            yield {f"PLAUDIT_{setting.upper()}": url for setting, url in chosen.items()} | _PATIENT
    except CannotRun as reason:
        raise Skipped(str(reason)) from None


# A server that has just started is slow for its first writes, which are not measured.
_PATIENT = {"PLAUDIT_REACTION__WRITE_SECONDS": "10"}
# Of the database, the keyspace and the topics' prefix.
_NAMES = {"redis": "0", "cassandra": "bench", "kafka": "bench"}
