"""Fan-out: who must hear of a change, and when."""
