"""The event log: its ports, and the records that cannot be decoded."""
