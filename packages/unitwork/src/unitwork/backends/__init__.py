"""Backends: the differences between databases (PostgreSQL, MariaDB, SQLite)."""
