"""The Envoy in front of the system, configured from one model and the contracts."""
