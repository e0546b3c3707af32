"""SQLite files behind the ports of kit."""
