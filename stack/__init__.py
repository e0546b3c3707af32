"""Composition: the `plaudit` command, all rooms in one process or chosen ones."""
