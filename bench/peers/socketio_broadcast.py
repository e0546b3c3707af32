"""A python-socketio room: `emit(…, room=…)` on an ASGI server."""

import asyncio
import json
import socket
from importlib.metadata import version

import socketio
import uvicorn
import uvloop
from pacing import obey, say

server = socketio.AsyncServer(async_mode="asgi", ping_interval=3600, cors_allowed_origins="*")


@server.event
async def connect(session, _environ):
    """Every client enters the same room."""
    await server.enter_room(session, "messages/fan")


async def send(text):
    await server.emit("reaction_update", json.loads(text), room="messages/fan")


async def main():
    """Serves until the end of the input."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(
        socketio.ASGIApp(server), log_level="warning", ws_per_message_deflate=False, ws_ping_interval=None
    )
    http = uvicorn.Server(config)
    task = asyncio.create_task(http.serve(sockets=[listener]))
    say(port=listener.getsockname()[1], version=version("python-socketio"))
    await obey(send)
    http.should_exit = True
    http.force_exit = True
    await task


uvloop.run(main())
