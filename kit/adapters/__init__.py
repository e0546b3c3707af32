"""Adapters of the ports of kit, one package for each engine."""
