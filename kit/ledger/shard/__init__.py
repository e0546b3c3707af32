"""One shard of a ledger as a state machine: no I/O, no clock."""
