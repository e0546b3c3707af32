"""Real servers on a plain machine: gets, starts and stops Redis, Cassandra, Kafka and others, without Docker."""
