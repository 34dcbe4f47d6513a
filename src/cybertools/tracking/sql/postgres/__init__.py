"""The engine in PostgreSQL."""
