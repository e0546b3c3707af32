"""Authentication of sockets, and limits on how many are opened."""
