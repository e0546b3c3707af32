"""Who is connected where, which nodes are alive, and which node wants which topic."""
