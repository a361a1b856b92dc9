"""Rows in memory, with SQL's semantics."""
