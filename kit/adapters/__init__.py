"""Engines behind the ports of kit."""
