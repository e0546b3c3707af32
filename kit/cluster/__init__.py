"""The live nodes of the services, and the node that each key, shard and partition is assigned to."""
