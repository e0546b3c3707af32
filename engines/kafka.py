"""Kafka from its Maven Central jars: one node in KRaft mode."""

from __future__ import annotations

import base64
import subprocess
import uuid
from pathlib import Path
from string import Template
from typing import Any, ClassVar

from engines.errors import CannotStart
from engines.get import SETTINGS, jars, java
from engines.server import Server, ask

VERSION = "4.1.0"
HEAP = "512m"
_API_VERSIONS = b"\x00\x00\x00\x10" + b"\x00\x12\x00\x00" + b"\x00\x00\x00\x07" + b"\x00\x06engine"
"""A request of Kafka's protocol: length, key 18 in version 0, number 7, and the client id."""


class Kafka(Server):
    """See `Server`. With a proxy in between, the proxy connects to `upstream_port` and listens on `advertised_port`.

    Clients of the proxy get its port as the address of the broker; clients of `port` connect directly.
    """

    name: ClassVar[str] = "kafka"
    default_port: ClassVar[int] = 9190

    def __init__(
        self, folder: Path, port: int = 0, controller_port: int = 0, upstream_port: int = 0, advertised_port: int = 0
    ) -> None:
        super().__init__(folder, port)
        self.controller_port = controller_port or self.port + 1
        self.upstream_port = upstream_port or self.port + 2
        self.advertised_port = advertised_port or self.port + 3

    @property
    def ports(self) -> tuple[int, ...]:
        return (self.port, self.controller_port, self.upstream_port)

    @property
    def url(self) -> str:
        return f"kafka://127.0.0.1:{self.port}/plaudit"

    def settings(self) -> dict[str, Any]:
        return {
            "port": self.port,
            "controller_port": self.controller_port,
            "upstream_port": self.upstream_port,
            "advertised_port": self.advertised_port,
        }

    @classmethod
    def get(cls) -> Path:
        java()
        return jars("kafka", VERSION)

    def configure(self) -> None:
        template = Template((SETTINGS / "kafka.properties").read_text("utf-8"))
        text = template.substitute(folder=self.folder, **self.settings())
        self._properties.write_text(text, "utf-8")
        if not (self.folder / "data" / "meta.properties").exists():
            self._format()

    def command(self) -> list[str]:
        log4j2 = f"-Dlog4j2.configurationFile={(SETTINGS / 'kafka.log4j2.properties').as_uri()}"
        return [*self._java(f"-Xmx{HEAP}", log4j2), "kafka.Kafka", str(self._properties)]

    def answers(self) -> bool:
        # Length, number, error 0: a broker answers once it has joined its cluster.
        return ask(self.port, _API_VERSIONS, 10)[4:10] == b"\x00\x00\x00\x07\x00\x00"

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode("ascii")
        # An id that starts with a dash would read as an option.
        options = [f"--cluster-id={cluster}", f"--config={self._properties}"]
        command = [*self._java("-Xmx128m"), "kafka.tools.StorageTool", "format", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CannotStart(f"kafka: cannot format {self.folder / 'data'}: {(done.stderr or done.stdout).strip()}")

    def _java(self, *options: str) -> list[str]:
        return [str(java()), *options, "-cp", f"{self.get()}/*"]

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"
