"""A node in its own process: `python -m tests.wire.rpc.tlsnode FOLDER` serves over mutual TLS until its input ends."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from kit.auth.caller import caller
from kit.auth.keys import open_keys
from kit.limits.server_limits import ServerLimits
from kit.rpc.server import Hosted, serving
from kit.rpc.tls import TlsSettings, open_tls
from plaudit.reaction.v1 import reaction_changes_pb2 as pb
from plaudit.reaction.v1 import reaction_service_pb2_grpc as pb_grpc


class EchoingServicer(pb_grpc.ReactionServiceServicer):
    """Says who it was that asked."""

    async def ToggleReaction(self, request: pb.ToggleReactionRequest, context: Any) -> pb.ToggleReactionResponse:
        response = pb.ToggleReactionResponse(on=True)
        response.reactions.add(emoji=caller().user, count=1)
        return response


def settings_in(folder: Path) -> TlsSettings:
    """The settings of a service whose certificates are in a folder."""
    return TlsSettings(ca=folder / "ca.pem", cert=folder / "service.pem", key=folder / "service.key")


async def main(folder: Path) -> None:
    """Prints its address once it serves."""
    hosted = Hosted(EchoingServicer(), pb_grpc.add_ReactionServiceServicer_to_server)
    async with serving(
        [hosted],
        verifier=open_keys(folder / "keys").verifier(),
        limits=ServerLimits(grace=0.2),
        tls=open_tls(settings_in(folder)),
    ) as server:
        print(server.address, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
