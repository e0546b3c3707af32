"""A bare grpc.aio server: one unary method that answers prepared bytes, without decoding or authentication."""

import asyncio
import sys

import grpc
from pacing import say

# ToggleReactionResponse(on=True, version=1763700000000000, reactions=[ReactionCount(emoji="👍", count=142)])
ANSWER = bytes.fromhex("080110 80f0a6fc8f8c9103 1a09 0a04f09f918d 108e01".replace(" ", ""))


async def echo(_request, _context):
    """Returns the same answer to every request."""
    return ANSWER


class Handlers(grpc.GenericRpcHandler):
    """Handles every method."""

    def service(self, _details):
        """Bytes in, bytes out."""
        return grpc.unary_unary_rpc_method_handler(echo)


async def main():
    """Serves until the end of the input."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    say(port=port)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(0)


asyncio.run(main())
