"""Adapters of the ports of kit for Kafka."""
