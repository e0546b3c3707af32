"""PostgreSQL: connections, transactions and schemas."""
