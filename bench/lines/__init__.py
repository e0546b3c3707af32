"""The lines of the table, each measured by one function."""
