"""A database transaction around a whole test."""
