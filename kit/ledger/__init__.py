"""The ledger: how anything durable is decided in order, one conditional append at a time."""
