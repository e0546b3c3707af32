"""Adapters of the ports of kit for SQLite files."""
