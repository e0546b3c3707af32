"""Benchmarks: each line of the table measures Plaudit and a reference in the same run."""
