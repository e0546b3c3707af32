"""The engines a process opens, and the tables and topics that services need of them."""
