"""Engines and peers behind the ports of the room."""
