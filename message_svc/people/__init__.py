"""Persons as a whole: erases and exports what all services keep of one."""
