"""The parts of other services, behind the ports of people."""
