"""Kafka behind the ports of kit."""
