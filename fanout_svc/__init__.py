"""Fan-out: which gateway nodes get an update of a topic, and when."""
