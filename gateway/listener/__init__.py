"""One listening port for WebSocket and HTTP: accepts, limits and closes connections."""
