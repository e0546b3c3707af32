"""The lower bound: `os.write` of a prepared frame to every socket in turn."""

import os
import socket
import struct
import sys
import threading
import time

from pacing import say, update

ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


def frame(text):
    """An unmasked text frame."""
    payload = text.encode()
    length = len(payload)
    return (bytes([0x81, length]) if length < 126 else b"\x81\x7e" + struct.pack("!H", length)) + payload


def main():
    """Accepts connections in a thread; broadcasts on command."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    sockets = []

    def accept():
        while True:
            sock, _ = listener.accept()
            head = b""
            while b"\r\n\r\n" not in head:
                head += sock.recv(4096)
            sock.sendall(ANSWER)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            sockets.append(sock)

    threading.Thread(target=accept, daemon=True).start()
    say(port=listener.getsockname()[1])
    version = 0
    for line in sys.stdin:
        _, rate, seconds = line.split()
        descriptors = [sock.fileno() for sock in sockets]
        began = time.monotonic()
        rounds = round(float(rate) * float(seconds))
        write = os.write
        for index in range(rounds):
            time.sleep(max(0.0, began + index / float(rate) - time.monotonic()))
            version += 1
            ready = frame(update(version))
            for descriptor in descriptors:
                write(descriptor, ready)
        say(sent=rounds, version=version, seconds=time.monotonic() - began)


main()
