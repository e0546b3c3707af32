"""Cassandra or ScyllaDB behind the ports of kit."""
