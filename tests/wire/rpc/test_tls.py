"""Mutual TLS between two processes: only services with a certificate of the authority can connect."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from kit.auth.keys import open_keys
from kit.auth.tokens import NodeTokens
from kit.cluster.nodes import StaticNodes
from kit.errors import RemoteError
from kit.rpc.mesh import connected, open_channel
from kit.rpc.tls import Tls, open_tls
from plaudit.reaction.v1 import reaction_changes_pb2 as pb
from stack import certs
from tests.running import ROOT
from tests.wire.rpc.tlsnode import settings_in

TOGGLE = "/plaudit.reaction.v1.ReactionService/ToggleReaction"
REQUEST = pb.ToggleReactionRequest(target="messages/1", emoji="👍").SerializeToString()


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Path:
    certs.make(tmp_path)
    return tmp_path


@pytest.fixture(name="address")
async def fixture_address(folder: Path) -> AsyncIterator[str]:
    """A node in its own process, with the certificates of the folder."""
    path = os.pathsep.join(str(ROOT / part) for part in ("", "gen"))
    node = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.wire.rpc.tlsnode", str(folder)),
        env=os.environ | {"PYTHONPATH": path},
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert node.stdout is not None
    assert node.stdin is not None
    try:
        async with asyncio.timeout(20):
            yield (await node.stdout.readline()).decode().strip()
    finally:
        node.stdin.close()
        await node.wait()


def opened(folder: Path) -> Tls:
    tls = open_tls(settings_in(folder))
    assert tls is not None
    return tls


async def toggled(folder: Path, address: str, tls: Tls | None, timeout: float = 5.0) -> str:
    """Who the node says has called, through the mesh."""
    tokens = NodeTokens(open_keys(folder / "keys").minter())
    async with connected(StaticNodes(address), tokens, tls) as mesh:
        answer = await mesh.call(TOGGLE, REQUEST, user="alice", tenant="default", timeout=timeout)
    return pb.ToggleReactionResponse.FromString(answer).reactions[0].emoji


@asynccontextmanager
async def raw(address: str, context: ssl.SSLContext) -> AsyncIterator[asyncio.StreamReader]:
    """A connection with this TLS, to any server."""
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    try:
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        yield reader
    finally:
        writer.transport.abort()


async def test_two_services_of_one_authority_call_each_other(folder: Path, address: str) -> None:
    assert await toggled(folder, address, opened(folder)) == "alice"


async def test_a_connection_without_tls_is_refused(folder: Path, address: str) -> None:
    with pytest.raises(RemoteError, match="could not be reached"):
        await toggled(folder, address, None, timeout=0.5)


async def test_a_service_of_another_authority_is_refused_and_refuses(
    folder: Path, address: str, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    certs.make(other)
    # It does not believe the server ...
    with pytest.raises(RemoteError, match="could not be reached"):
        await toggled(folder, address, opened(other), timeout=0.5)
    # ... and where it would, the server does not believe it.
    mixed = Tls(folder / "ca.pem", other / "service.pem", other / "service.key")
    with pytest.raises(RemoteError, match="could not be reached"):
        await toggled(folder, address, mixed, timeout=0.5)


async def test_the_certificate_of_the_edge_is_not_that_of_a_service(folder: Path, address: str) -> None:
    edge = Tls(folder / "ca.pem", folder / "edge.pem", folder / "edge.key")
    with pytest.raises(RemoteError, match="could not be reached"):
        await toggled(folder, address, edge, timeout=0.5)


async def test_without_a_certificate_no_byte_is_answered(folder: Path, address: str) -> None:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    async with raw(address, context) as reader:
        # It may send the reason, within TLS, or close the connection.
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
    with_own = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    with_own.load_cert_chain(folder / "service.pem", folder / "service.key")
    async with raw(address, with_own) as reader:
        assert await reader.readexactly(9)


async def test_a_new_certificate_is_used_for_new_connections(folder: Path, address: str) -> None:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / "service.pem", folder / "service.key")
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])

    async def shown() -> str:
        """The serial number of the certificate that the node shows now."""
        host, port = address.split(":")
        _, writer = await asyncio.open_connection(host, int(port), ssl=context)
        found = writer.get_extra_info("peercert")["serialNumber"]
        writer.transport.abort()
        return str(found)

    async with open_channel(address, opened(folder)) as old:
        await old.channel_ready()
        first = await shown()
        certs.make(folder, overwrite=True)
        second = await shown()
        assert first != second
        # A rotation gone wrong changes nothing.
        (folder / "service.key").write_text("half")
        assert await shown() == second
        certs.make(folder, overwrite=True)
        assert await shown() not in (first, second)
        assert await toggled(folder, address, opened(folder)) == "alice"
        assert old.get_state() == grpc.ChannelConnectivity.READY
