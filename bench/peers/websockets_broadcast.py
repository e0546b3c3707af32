"""`websockets.broadcast` to all connections."""

import uvloop
import websockets
from pacing import obey, say
from websockets.asyncio.server import broadcast, serve


async def main():
    """Serves until the end of the input."""
    connections = set()

    async def handler(connection):
        connections.add(connection)
        try:
            await connection.wait_closed()
        finally:
            connections.discard(connection)

    async def send(text):
        broadcast(connections, text)

    async with serve(handler, "127.0.0.1", 0, compression=None, ping_interval=None, max_queue=4) as server:
        say(port=server.sockets[0].getsockname()[1], version=websockets.__version__)
        await obey(send)


uvloop.run(main())
