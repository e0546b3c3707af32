"""Adapters of the ports of kit for Cassandra and ScyllaDB."""
