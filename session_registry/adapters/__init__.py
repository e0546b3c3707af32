"""Where the lease of the leader and the routes are kept."""
