"""The frames of a client's socket as values, and the two subprotocols that encode them."""
