"""Composition: the `plaudit` command, and all services in one process or in several."""
