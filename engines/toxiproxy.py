"""Toxiproxy, built by Go: a proxy that delays, cuts and swallows on command."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import ClassVar

from engines.get import go_program
from engines.server import Server, own_folder

VERSION = "v2.12.0"


class Toxiproxy(Server):
    """See `Server`. Proxies are made and set through its HTTP interface, on ports of their own."""

    name: ClassVar[str] = "toxiproxy"
    default_port: ClassVar[int] = 8490

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        _program()
        own_folder(self.folder)

    def command(self) -> list[str]:
        return [str(_program()), "-host", "127.0.0.1", "-port", str(self.port)]

    def answers(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/version", timeout=1) as answer:
            return bool(answer.status == 200)


def _program() -> Path:
    return go_program("toxiproxy", "github.com/Shopify/toxiproxy/v2/cmd/server", VERSION)
