"""Redis, for the adapters of the services."""
