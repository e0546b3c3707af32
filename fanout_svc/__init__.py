"""Fan-out: who must apply_delta of a change, and when."""
