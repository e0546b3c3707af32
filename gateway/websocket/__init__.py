"""WebSocket (RFC 6455): handshake, framing, sockets."""
