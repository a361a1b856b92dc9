"""What each database does its own way: PostgreSQL, MariaDB, SQLite."""
