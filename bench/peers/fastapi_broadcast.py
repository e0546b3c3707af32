"""The loop of FastAPI's own documentation: `for connection in connections: await connection.send_text(...)`."""

import asyncio
import socket

import fastapi
import uvicorn
import uvloop
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from pacing import obey, say

app = FastAPI()
connections = []


@app.websocket("/ws/connect")
async def connect(websocket: WebSocket):
    """Adds the connection until it ends."""
    await websocket.accept()
    connections.append(websocket)
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect:
        connections.remove(websocket)


async def send(text):
    for connection in connections:
        await connection.send_text(text)


async def main():
    """Serves until the end of the input."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(app, log_level="warning", ws_per_message_deflate=False, ws_ping_interval=None)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    say(port=listener.getsockname()[1], version=fastapi.__version__)
    await obey(send)
    server.should_exit = True
    server.force_exit = True
    await task


uvloop.run(main())
