"""Pushes to subscribers: conflated feeds and durable topics."""
