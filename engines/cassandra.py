"""Cassandra from its Maven Central jars: a single node, or a node of a cluster."""

from __future__ import annotations

import shutil
from pathlib import Path
from string import Template
from typing import Any, ClassVar

from engines.get import SETTINGS, jars, java
from engines.server import Server, ask

VERSION = "5.0.5"
_OPTIONS = b"\x04\x00\x00\x07\x05\x00\x00\x00\x00"
"""A frame of CQL's native protocol 4: request, no flags, stream 7, OPTIONS, no body."""
_SUPPORTED = b"\x84\x00\x00\x07\x06"


class Cassandra(Server):
    """See `Server`. With a proxy in between, clients whose contact point is the proxy use only the proxy.

    A single node has no peers, and drivers give the contact point's own row the contact point's address;
    so nothing needs to be advertised.
    """

    name: ClassVar[str] = "cassandra"
    default_port: ClassVar[int] = 9140

    def __init__(self, folder: Path, port: int = 0, storage_port: int = 0) -> None:
        super().__init__(folder, port)
        self.storage_port = storage_port or self.port + 1

    @property
    def ports(self) -> tuple[int, ...]:
        return (self.port, self.storage_port)

    @property
    def url(self) -> str:
        return f"cassandra://127.0.0.1:{self.port}/plaudit"

    def settings(self) -> dict[str, Any]:
        return {"port": self.port, "storage_port": self.storage_port}

    def values(self) -> dict[str, Any]:
        """The values of the placeholders in `engines/settings`; times in ms, sizes in MiB."""
        return {
            "folder": self.folder,
            "host": self.host,
            "port": self.port,
            "storage_port": self.storage_port,
            "seeds": f"{self.host}:{self.storage_port}",
            "token": 0,
            "ring_delay_ms": 1,
            "hints": "false",
            "paxos_variant": "v2",
            "write_ms": 2_000,
            "heap": 1024,
            "heap_at_first": 768,
            "memtable": 256,
        }

    @classmethod
    def get(cls) -> Path:
        java()
        return jars("cassandra", VERSION)

    def configure(self) -> None:
        conf = self.folder / "conf"
        conf.mkdir(exist_ok=True)
        (conf / "cassandra.yaml").write_text(self._filled("cassandra.yaml"), "utf-8")
        shutil.copy(SETTINGS / "cassandra.logback.xml", conf / "logback.xml")

    def command(self) -> list[str]:
        lib = self.get()
        conf = self.folder / "conf"
        return [
            str(java()),
            *[line for line in self._filled("cassandra.options").splitlines() if line.startswith("-")],
            f"-Dcassandra.config={(conf / 'cassandra.yaml').as_uri()}",
            f"-Dcassandra.storagedir={self.folder / 'data'}",
            f"-javaagent:{next(lib.glob('jamm-*.jar'))}",
            "-cp",
            f"{conf}:{lib}/*",
            "org.apache.cassandra.service.CassandraDaemon",
        ]

    def answers(self) -> bool:
        return ask(self.port, _OPTIONS, len(_SUPPORTED), host=self.host) == _SUPPORTED

    def _filled(self, name: str) -> str:
        return Template((SETTINGS / name).read_text("utf-8")).substitute(self.values())
