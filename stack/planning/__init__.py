"""`plaudit plan`: the processes, nodes and disks that a load needs."""
