"""Composition: the `plaudit` command, all services in one process or chosen ones."""
