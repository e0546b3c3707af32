"""Toxiproxy, built by Go: a proxy that delays, resets or drops data on request."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any, ClassVar

from engines.get import go_program
from engines.server import HOST, Server

VERSION = "v2.12.0"


class Toxiproxy(Server):
    """See `Server`. Proxies are created and configured through its HTTP API, each on its own port."""

    name: ClassVar[str] = "toxiproxy"
    default_port: ClassVar[int] = 8490

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @classmethod
    def get(cls) -> Path:
        return go_program("toxiproxy", "github.com/Shopify/toxiproxy/v2/cmd/server", VERSION)

    def command(self) -> list[str]:
        return [str(self.get()), "-host", "127.0.0.1", "-port", str(self.port)]

    def proxy(self, name: str, listen: int, upstream: int) -> None:
        """Creates a proxy from one port to another."""
        self.ask("POST", "/proxies", {"name": name, "listen": f"{HOST}:{listen}", "upstream": f"{HOST}:{upstream}"})

    def enable(self, name: str, enabled: bool) -> None:
        """Enables or disables a proxy; a disabled one resets its connections and refuses new ones."""
        self.ask("POST", f"/proxies/{name}", {"enabled": enabled})

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Calls its HTTP API, see https://github.com/Shopify/toxiproxy#http-api; raises OSError."""
        data = None if body is None else json.dumps(body).encode("utf-8")
        request = urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=5) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def answers(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/version", timeout=1) as answer:
            return bool(answer.status == 200)
