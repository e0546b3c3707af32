"""Peers behind the ports of the room."""
