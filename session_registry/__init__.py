"""The nodes of sessions, the live nodes, and the topics that each node subscribes to."""
