"""Rows in memory, by SQL's rules."""
