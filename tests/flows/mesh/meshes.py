"""A whole mesh for tests: kept by a thread with a loop of its own, while each test has another."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import threading
from pathlib import Path
from typing import Any, Self

from engines.server import free_port
from kit.auth.keys import open_keys
from stack.mesh.plan import MeshOptions
from stack.mesh.runner import MeshProcesses, running
from stack.settings.model import Settings

_START_SECONDS = 180


class RunningMesh:
    """Two processes of every service with Envoy in front, on the engines of the settings."""

    def __init__(self, data: Path, **settings: Any) -> None:
        self.data = data
        self.said: list[str] = []
        """The lines of the mesh for its operator."""
        self._settings = Settings(data=data, **settings)
        self._options = MeshOptions(https=f"127.0.0.1:{free_port()}", http=f"127.0.0.1:{free_port()}")
        self._mesh: MeshProcesses | None = None
        self._failure: BaseException | None = None
        self._serves = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mesh")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None

    @property
    def https(self) -> str:
        """host:port of the edge, with TLS."""
        return self._options.https

    @property
    def http(self) -> str:
        """host:port of the edge, without."""
        return self._options.http

    @property
    def ca(self) -> Path:
        """What clients of the edge trust."""
        return self.data / "certs" / "ca.pem"

    @property
    def trust(self) -> ssl.SSLContext:
        """The same for Python's TLS."""
        return ssl.create_default_context(cafile=str(self.ca))

    @property
    def names(self) -> list[str]:
        """Of all processes."""
        assert self._mesh is not None
        return list(self._mesh.processes)

    def token(self, user: str) -> str:
        """A user's token."""
        return open_keys(self.data / "keys").minter().mint_user(user)

    def service_token(self) -> str:
        """A service's, which may act for users."""
        return open_keys(self.data / "keys").minter().mint_service("tests", ("act-as", "tenants", "audit"))

    async def kill(self, name: str) -> None:
        """SIGKILL; returns when the process that follows it serves."""
        assert self._mesh is not None
        assert self._loop is not None
        process = self._mesh.processes[name]
        old = process.pid
        os.kill(old, signal.SIGKILL)

        async def follows() -> None:
            while process.pid in (0, old):  # noqa: ASYNC110  the other loop tells nobody
                await asyncio.sleep(0.02)
            await process.wait_until_serving()

        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(follows(), self._loop))

    def __enter__(self) -> Self:
        self._thread.start()
        self._serves.wait(_START_SECONDS)
        if self._failure is not None:
            raise self._failure
        assert self._mesh is not None, "the mesh does not serve in time"
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._over is not None:
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._hold())
        except BaseException as error:  # it is the test's
            self._failure = error
        finally:
            self._serves.set()

    async def _hold(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        async with running(self._settings, self._options, self.said.append) as mesh:
            self._mesh = mesh
            self._serves.set()
            await self._over.wait()
