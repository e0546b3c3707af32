"""Adapters of the ports of the service, for each engine."""
