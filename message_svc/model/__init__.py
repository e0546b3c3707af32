"""How commands on conversations are decided, and the state of a shard in memory. Pure."""
