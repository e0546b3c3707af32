"""One process of `plaudit up`: start, supervision of its workers, readiness, logs, orderly stop."""
