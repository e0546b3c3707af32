"""The state of topics in memory: subscribed nodes, windows, newest counts, snapshots to send. No I/O."""
