"""The subcommands of `plaudit`, and the clients through which they reach a running system."""
