"""A bare echo server on the gateway's socket layer, for conformance suites: `python -m gateway.echo --port 9001`."""

import argparse
import asyncio
import signal
from collections.abc import Sequence

import uvloop

from gateway.limits import Rate, SocketLimits
from gateway.listener.listening import listening
from gateway.websocket.handshake import Accept, Handshake
from gateway.websocket.rfc6455 import BINARY, TEXT, encode_frame
from gateway.websocket.socket import Socket

# Above this size in bytes, reading pauses until the peer reads.
_MAX_BUFFERED = 1024 * 1024


class Echo:
    """Sends every message back as it came. See `socket.SocketHandler`."""

    __slots__ = ("_socket",)

    _socket: Socket

    def on_open(self, socket: Socket) -> None:
        """Trusts every peer."""
        self._socket = socket
        socket.raise_limit()

    def on_message(self, is_text: bool, payload: bytes) -> None:
        """Text is answered with text, binary with binary."""
        self._socket.send(encode_frame(TEXT if is_text else BINARY, payload))
        if self._socket.buffered > _MAX_BUFFERED:
            self._socket.pause_reading()

    def on_writable(self) -> None:
        """Resumes reading."""
        self._socket.resume_reading()

    def on_close(self, code: int, reason: str) -> None:
        """Does nothing."""


def accept(handshake: Handshake) -> Accept:
    """Accepts every handshake, with the first offered subprotocol."""
    return Accept(next(iter(handshake.subprotocols), None), Echo)


def echo_limits(message: int) -> SocketLimits:
    """Limits that a conformance suite does not reach, except the size of a message in bytes."""
    pings = Rate(per_second=100_000, burst=100_000)
    return SocketLimits(path=None, origins=frozenset({"*"}), first_message=message, message=message, pings=pings)


async def serve(host: str, port: int, message: int) -> None:
    """Serves until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with listening(host, port, accept=accept, limits=echo_limits(message)) as listener:
        print(f"echo listening on ws://{host}:{listener.port}", flush=True)
        await stopped.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="gateway.echo", description="Echoes WebSocket messages.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, required=True, help="port to listen on; 0 finds one")
    parser.add_argument("--max-message", type=int, default=16 << 20, help="in bytes (default: %(default)s)")
    options = parser.parse_args(arguments)
    uvloop.run(serve(options.host, options.port, options.max_message))


if __name__ == "__main__":
    main()
